package servers

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"fnb/internal/servers/network"
)

// A Container is an image that runs on this machine outside any builder, by
// runc or crun.
type Container struct {
	// URL is the address of the program in the container, for [Container.Client].
	URL string
	// Image is the configuration of the image that runs.
	Image *v1.ConfigFile

	id, dir, oci string
	proc         *process
	client       *http.Client
	pid          atomic.Int64
}

// RunImage pulls the image from a registry, starts it, and returns when its
// first process runs; whether it answers is for the caller to find out, see
// [Container.Await]. The container has a network of its own in which nothing
// but loopback exists, so that any number can listen on the same port, and
// only [Container.Client] reaches it.
func RunImage(ctx context.Context, ref string, opts ContainerOptions) (*Container, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return nil, err
	}
	options := []remote.Option{remote.WithContext(ctx)}
	if opts.Transport != nil {
		options = append(options, remote.WithTransport(opts.Transport))
	}
	if opts.Platform != "" {
		platform, err := v1.ParsePlatform(opts.Platform)
		if err != nil {
			return nil, err
		}
		options = append(options, remote.WithPlatform(*platform))
	}
	img, err := remote.Image(parsed, options...)
	if err != nil {
		return nil, fmt.Errorf("pulling %s: %w", ref, err)
	}
	c, err := Run(ctx, img, opts)
	if err != nil {
		return nil, fmt.Errorf("running %s: %w", ref, err)
	}
	return c, nil
}

// Run starts an image from wherever it is; it is otherwise like [RunImage].
func Run(ctx context.Context, img v1.Image, opts ContainerOptions) (_ *Container, err error) {
	oci, err := ociRuntime()
	if err != nil {
		return nil, err
	}
	c := &Container{oci: oci, id: "fnb-" + strings.ToLower(rand.Text()[:10])}
	if c.dir, err = os.MkdirTemp("", "fnb-container-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if c.Image, err = img.ConfigFile(); err != nil {
		return nil, err
	}
	rootfs := filepath.Join(c.dir, "rootfs")
	if opts.Root != "" {
		rootfs, opts.ReadOnly = opts.Root, true
	} else if err := Unpack(ctx, img, rootfs); err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	spec, err := runtimeSpec(c.Image.Config, rootfs, opts)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(c.dir, "config.json"), text, 0o600); err != nil {
		return nil, err
	}
	port := 8080
	if opts.Port != 0 {
		port = opts.Port
	}
	c.URL = "http://127.0.0.1:" + strconv.Itoa(port)
	c.client = &http.Client{Transport: &http.Transport{DialContext: c.dial}}
	return c, c.start(ctx)
}

// start has the runtime run the bundle, and waits for the first process.
func (c *Container) start(ctx context.Context) error {
	pidFile := filepath.Join(c.dir, "pid")
	// The container outlives the call, not the program; Close stops it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.oci, "--root", c.stateDir(), "run",
		"--bundle", c.dir, "--pid-file", pidFile, c.id)
	var err error
	if c.proc, err = startProcess("container", cmd); err != nil {
		return err
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		// The runtime renames the file into place when it is complete.
		if text, err := os.ReadFile(pidFile); err == nil {
			pid, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
			c.pid.Store(pid)
			return err
		}
		select {
		case <-ticker.C:
		case <-c.proc.done:
			if _, err := os.Stat(pidFile); err == nil {
				return nil // it ran, and has ended already
			}
			return fmt.Errorf("%s: %w\n%s", filepath.Base(c.oci), c.proc.err, tail(c.Log(), 10))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Container) stateDir() string { return filepath.Join(c.dir, "state") }

// Client returns an HTTP client that reaches [Container.URL].
func (c *Container) Client() *http.Client { return c.client }

// Await asks for a path of [Container.URL] until the answer has the status
// wanted. When the container ends first, or ctx does, the error has the end of
// its log.
func (c *Container) Await(ctx context.Context, path string, status int) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+path, nil)
		if err != nil {
			return err
		}
		resp, err := c.client.Do(req)
		if err == nil {
			// The status is all that is wanted of the answer.
			_ = resp.Body.Close()
			if resp.StatusCode == status {
				return nil
			}
			err = fmt.Errorf("the answer is %s", resp.Status)
		}
		last = err
		select {
		case <-ticker.C:
		case <-c.proc.done:
			return fmt.Errorf("waiting for the container: it ended: %w\n%s", c.proc.err, tail(c.Log(), 20))
		case <-ctx.Done():
			return fmt.Errorf("waiting for the container: %w\n%s", last, tail(c.Log(), 20))
		}
	}
}

// Log returns what the container has printed, on both its outputs.
func (c *Container) Log() string { return c.proc.log.String() }

// Signal sends a signal to the container's first process.
func (c *Container) Signal(sig syscall.Signal) error {
	return syscall.Kill(int(c.pid.Load()), sig)
}

// Root is the folder that shows the container's file system, and what is mounted
// there, from outside, while it runs.
func (c *Container) Root() string { return fmt.Sprintf("/proc/%d/root", c.pid.Load()) }

// Done is closed when the container has ended.
func (c *Container) Done() <-chan struct{} { return c.proc.done }

// Stop sends SIGTERM and waits until the container has ended; when ctx ends
// first, the container is killed and the error says so.
func (c *Container) Stop(ctx context.Context) (Exit, error) {
	began := time.Now()
	if err := c.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return Exit{}, fmt.Errorf("stopping the container: %w", err)
	}
	return c.wait(ctx, began)
}

// Wait waits until the container has ended by itself.
func (c *Container) Wait(ctx context.Context) (Exit, error) { return c.wait(ctx, time.Now()) }

func (c *Container) wait(ctx context.Context, began time.Time) (Exit, error) {
	select {
	case <-c.proc.done:
		return Exit{Code: c.proc.cmd.ProcessState.ExitCode(), After: time.Since(began)}, nil
	case <-ctx.Done():
		return Exit{}, fmt.Errorf("the container did not end: %w", errors.Join(ctx.Err(), c.kill()))
	}
}

// kill ends the container at once.
func (c *Container) kill() error {
	if err := c.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	<-c.proc.done
	return nil
}

// Close ends the container, at once when it still runs, and removes its files.
func (c *Container) Close() error {
	var errs []error
	if c.proc != nil {
		select {
		case <-c.proc.done:
		default:
			if c.pid.Load() == 0 {
				errs = append(errs, c.proc.stop(10*time.Second))
			} else {
				errs = append(errs, c.kill())
			}
		}
	}
	if c.client != nil {
		c.client.CloseIdleConnections()
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// ContainerFor runs an image for one test.
func ContainerFor(tb testing.TB, ref string, opts ContainerOptions) *Container {
	tb.Helper()
	_, err := ociRuntime()
	Require(tb, "runc", err)
	c, err := RunImage(tb.Context(), ref, opts)
	if err != nil {
		tb.Fatal(err)
	}
	closeAtEnd(tb, c.Close)
	return c
}

// dial connects to an address inside the container's network.
func (c *Container) dial(ctx context.Context, kind, addr string) (conn net.Conn, err error) {
	err = network.In(int(c.pid.Load()), func() error {
		// An address that is a number is dialled by the calling goroutine itself.
		conn, err = (&net.Dialer{}).DialContext(ctx, kind, addr)
		return err
	})
	return conn, err
}
