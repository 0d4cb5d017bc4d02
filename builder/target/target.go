package target

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
	"net/url"
	"os"
	"path/filepath"
	"time"

	"fnb/builder/engine"
	"fnb/internal/disk"
	"fnb/internal/plain"
)

// A Target is a file or a daemon that receives an image. What was written
// counts only once Commit is called; Discard leaves nothing behind and returns
// the error to report, which is the target's own where it is to blame.
type Target interface {
	io.WriteCloser
	Commit() error
	Discard(err error) error
}

// A Fresh is a target that begins anew each time it is opened: a fleet's
// builder may go away in the middle of an image, and the next one starts over.
type Fresh struct {
	Target
	renew func() (Target, error)
	used  bool
}

// New makes the first target at once, so that what is wrong with it is said
// before anything is built.
func New(renew func() (Target, error)) (*Fresh, error) {
	t, err := renew()
	return &Fresh{Target: t, renew: renew}, err
}

// Open is the target to write an image to, from its beginning.
func (f *Fresh) Open() (io.WriteCloser, error) {
	if f.used {
		_ = f.Discard(errNotMade) // what it has is half an image
		t, err := f.renew()
		if err != nil {
			return nil, err
		}
		f.Target = t
	}
	f.used = true
	return f.Target, nil
}

// A file is written beside the one that it replaces.
type file struct {
	*os.File
	path   string // as it was said
	place  string // that of the file that is replaced
	failed error
}

// File is a target that replaces a file in one step: what is there is whole, also after a
// crash. What a link leads to is replaced, and the link stays. A folder or a device is an error.
func File(path string) (Target, error) {
	place, _, err := disk.Place(path)
	if err != nil {
		return nil, &WriteError{Path: path, Err: withoutName(err)}
	}
	f, err := os.CreateTemp(filepath.Dir(place), "."+filepath.Base(place)+".*")
	if err != nil {
		return nil, &WriteError{Path: path, Err: withoutName(err)}
	}
	return &file{File: f, path: path, place: place}, nil
}

// A WriteError says that a file of an image cannot be written.
type WriteError struct {
	Path string
	Err  error
}

func (e *WriteError) Error() string { return "writing " + e.Path + ": " + e.Err.Error() }

func (e *WriteError) Unwrap() error { return e.Err }

// withoutName is an error without the name of a file, which may be a temporary one.
func withoutName(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return le.Err
	}
	return err
}

// Write remembers what fails: a builder passes on its text alone.
func (t *file) Write(p []byte) (int, error) {
	n, err := t.File.Write(p)
	return n, t.wrote(err)
}

// ReadFrom is Write for all that a reader has.
func (t *file) ReadFrom(r io.Reader) (int64, error) {
	n, err := t.File.ReadFrom(r)
	return n, t.wrote(err)
}

// wrote is an error as it is said, if it is the file's own.
func (t *file) wrote(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok && pe.Path == t.Name() {
		t.failed = &WriteError{Path: t.path, Err: pe.Err}
		return t.failed
	}
	return err
}

// Close leaves the file open: whoever writes the image closes it, and Commit has to bring
// it to the disk after that.
func (t *file) Close() error { return nil }

func (t *file) Commit() error {
	err := t.Chmod(0o644)
	if err == nil {
		err = disk.Commit(t.File, t.place)
	}
	if err != nil {
		return t.Discard(&WriteError{Path: t.path, Err: withoutName(err)})
	}
	return nil
}

func (t *file) Discard(err error) error {
	_ = disk.Discard(t.File) // a leftover is harmless
	if t.failed != nil && err != nil {
		return t.failed
	}
	return err
}

// A loader loads a tar into a Docker Engine through its API.
type loader struct {
	*io.PipeWriter
	done chan error
}

// Engine is a target that loads a tar into the Docker Engine that docker itself uses. One that does not answer is an [*EngineError].
func Engine(ctx context.Context) (Target, error) {
	current, err := engine.Find()
	if err != nil {
		return nil, &EngineError{Engine: current.String(), Err: err}
	}
	client, base, err := dockerClient(current)
	if err == nil {
		err = pingDocker(ctx, client, base)
	}
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // it has the address itself
		}
		return nil, &EngineError{Engine: current.String(), Err: err}
	}
	r, w := io.Pipe()
	t := &loader{PipeWriter: w, done: make(chan error, 1)}
	go func() {
		err := loadImage(ctx, client, base, r)
		_ = r.CloseWithError(err) // never fails
		t.done <- err
	}()
	return t, nil
}

// An EngineError says that no Docker Engine answers.
type EngineError struct {
	Engine string // what it is called
	Err    error
}

func (e *EngineError) Error() string { return "asking " + e.Engine + ": " + e.Err.Error() }

func (e *EngineError) Unwrap() error { return e.Err }

// dockerClient reaches a Docker Engine.
func dockerClient(current engine.Current) (*http.Client, string, error) {
	network, address, ok := current.Address()
	switch {
	case !ok:
		return nil, "", fmt.Errorf("%s is not reached by fnb: it must begin with unix:// or tcp://", plain.Line(current.Host))
	case network == "tcp":
		return &http.Client{}, "http://" + address, nil
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial}}, "http://docker", nil
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

// A LoadError says that a Docker Engine that answers does not take an image.
type LoadError struct{ Err error }

func (e *LoadError) Error() string { return "loading into the Docker Engine: " + e.Err.Error() }

func (e *LoadError) Unwrap() error { return e.Err }

// loadImage sends a tar to POST /images/load and reads what the engine says.
func loadImage(ctx context.Context, client *http.Client, base string, r io.Reader) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/images/load?quiet=1", r)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-tar")
	res, err := client.Do(req)
	if err != nil {
		return &LoadError{err}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return &LoadError{err}
	}
	if res.StatusCode != http.StatusOK {
		return &LoadError{fmt.Errorf("%s: %s", res.Status, plain.Line(string(body)))}
	}
	lines := bufio.NewScanner(bytes.NewReader(body))
	for lines.Scan() {
		var m struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(lines.Bytes(), &m) == nil && m.Error != "" {
			return &LoadError{errors.New(plain.Line(m.Error))}
		}
	}
	return lines.Err()
}

func (t *loader) Commit() error { return <-t.done }

func (t *loader) Discard(err error) error {
	_ = t.CloseWithError(errNotMade) // never fails
	if cause := <-t.done; cause != nil && !errors.Is(cause, errNotMade) {
		return cause
	}
	return err
}

var errNotMade = errors.New("the image was not made")
