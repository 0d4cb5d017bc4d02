package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fnb/internal/plain"
)

// A target is a file or a daemon that receives an image. What was written
// counts only once commit is called; discard leaves nothing behind and returns
// the error to report, which is the target's own where it is to blame.
type target interface {
	io.WriteCloser
	commit() error
	discard(err error) error
}

// A freshTarget is a target that begins anew each time it is opened: a fleet's
// builder may go away in the middle of an image, and the next one starts over.
type freshTarget struct {
	target
	renew func() (target, error)
	used  bool
}

// newTarget makes the first target at once, so that what is wrong with it is said
// before anything is built.
func newTarget(renew func() (target, error)) (*freshTarget, error) {
	t, err := renew()
	return &freshTarget{target: t, renew: renew}, err
}

func (f *freshTarget) open() (io.WriteCloser, error) {
	if f.used {
		_ = f.discard(errNotMade) // what it has is half an image
		t, err := f.renew()
		if err != nil {
			return nil, err
		}
		f.target = t
	}
	f.used = true
	return f.target, nil
}

// A fileTarget replaces a file in one step.
type fileTarget struct {
	*os.File
	path string
}

func newFileTarget(path string) (*fileTarget, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		if pe, ok := errors.AsType[*fs.PathError](err); ok { // whose name is a temporary one
			err = pe.Err
		}
		return nil, fmt.Errorf("writing %s: %w", path, err)
	}
	return &fileTarget{File: f, path: path}, nil
}

func (t *fileTarget) commit() error {
	if err := os.Chmod(t.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(t.Name(), t.path)
}

func (t *fileTarget) discard(err error) error {
	_ = t.Close()           // which it may be already
	_ = os.Remove(t.Name()) // a leftover is harmless
	return err
}

// A dockerTarget loads a tar into a Docker Engine through its API.
type dockerTarget struct {
	*io.PipeWriter
	done chan error
}

func newDockerTarget(ctx context.Context) (*dockerTarget, error) {
	client, base, err := dockerClient()
	if err != nil {
		return nil, err
	}
	if err := pingDocker(ctx, client, base); err != nil {
		return nil, hint(fmt.Errorf("asking the Docker Engine: %w", err), "start the Docker Engine, or say where it is in DOCKER_HOST", "or keep the image without one: fnb build, without --load")
	}
	r, w := io.Pipe()
	t := &dockerTarget{PipeWriter: w, done: make(chan error, 1)}
	go func() {
		err := loadImage(ctx, client, base, r)
		_ = r.CloseWithError(err) // never fails
		t.done <- err
	}()
	return t, nil
}

// dockerClient reaches the Docker Engine of DOCKER_HOST, or the usual socket.
func dockerClient() (*http.Client, string, error) {
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		host = "unix:///var/run/docker.sock"
	}
	if path, ok := strings.CutPrefix(host, "unix://"); ok {
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}
		return &http.Client{Transport: &http.Transport{DialContext: dial}}, "http://docker", nil
	}
	if addr, ok := strings.CutPrefix(host, "tcp://"); ok {
		return &http.Client{}, "http://" + addr, nil
	}
	return nil, "", fmt.Errorf("DOCKER_HOST=%s: it has to begin with unix:// or tcp://", host)
}

// pingDocker sees whether an engine answers, before anything is built for it.
func pingDocker(ctx context.Context, client *http.Client, base string) error {
	ctx, stop := context.WithTimeout(ctx, dockerPatience)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/_ping", nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// dockerPatience is how long a Docker Engine may take to say that it is there.
const dockerPatience = 10 * time.Second

// loadImage sends a tar to POST /images/load and reads what the engine says.
func loadImage(ctx context.Context, client *http.Client, base string, r io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/images/load?quiet=1", r)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-tar")
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("loading into the Docker Engine: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("loading into the Docker Engine: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("loading into the Docker Engine: %s: %s", res.Status, plain.Line(string(body)))
	}
	lines := bufio.NewScanner(bytes.NewReader(body))
	for lines.Scan() {
		var m struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(lines.Bytes(), &m) == nil && m.Error != "" {
			return errors.New("loading into the Docker Engine: " + plain.Line(m.Error))
		}
	}
	return lines.Err()
}

func (t *dockerTarget) commit() error { return <-t.done }

func (t *dockerTarget) discard(err error) error {
	_ = t.CloseWithError(errNotMade) // never fails
	if cause := <-t.done; cause != nil && !errors.Is(cause, errNotMade) {
		return cause
	}
	return err
}

var errNotMade = errors.New("the image was not made")
