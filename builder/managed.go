package builder

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// startTimeout bounds how long a managed builder may take to answer, and
// stopTimeout how long to end by itself, which includes shutdownTimeout.
const (
	startTimeout    = 20 * time.Second
	stopTimeout     = 10 * time.Second
	shutdownTimeout = 2 * time.Second
)

// A Managed is the builder that fnb starts and stops for one user: a process of
// its own, elected by a file lock, behind a socket that only the user can open.
type Managed struct {
	Root    string   // folder of its state: cache, log, locks
	Socket  string   // path of its socket
	Command []string // starts it in the foreground; has to call Serve with Root and Socket
	// Identity changes when the builder has to be started anew to be right: the
	// program or its settings changed. A builder of another identity is replaced, but
	// one that is busy, or that somebody is connected to, is used as it is.
	Identity string
	Rootless bool   // the builder runs in a user namespace, through rootlesskit
	Network  string // of RUN steps, as in ServeOptions; only Ready looks at it
}

// A State is what a managed builder says of its process.
type State struct {
	PID      int       `json:"pid"`
	Identity string    `json:"identity"`
	Socket   string    `json:"socket"`
	Started  time.Time `json:"started"`
	Running  bool      `json:"-"`
	Busy     bool      `json:"-"` // a client is connected
	Log      string    `json:"-"` // path
}

// Address is the builder's address, whether or not it runs.
func (m Managed) Address() string { return "unix://" + m.Socket }

func (m Managed) logFile() string   { return filepath.Join(m.Root, "builder.log") }
func (m Managed) stateFile() string { return filepath.Join(m.Root, "builder.json") }
func (m Managed) serveLock() string { return filepath.Join(m.Root, "serve.lock") }
func (m Managed) useLock() string   { return filepath.Join(m.Root, "use.lock") } // shared by those who are connected
func (m Managed) busyFile() string  { return filepath.Join(m.Root, "busy") }

// State returns what is known of the builder. One that was never started is not
// an error. A builder that is still coming up is Running, without a PID.
func (m Managed) State() (State, error) {
	s := State{Log: m.logFile()}
	// The process holds this lock for as long as it lives, so that the number
	// of a process that is gone is never taken for the builder's.
	held, err := locked(m.serveLock())
	if err != nil || !held {
		return s, err
	}
	s.Running = true
	raw, err := os.ReadFile(m.stateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("reading the builder's state: %w", err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("reading the builder's state in %s: %w", m.stateFile(), err)
	}
	_, err = os.Stat(m.busyFile())
	s.Busy = err == nil
	return s, nil
}

// locked reports whether another process holds a file lock.
func locked(path string) (bool, error) {
	// Where there is no file nobody holds it; what is wrong with its folder is
	// said when that is made.
	if _, err := os.Stat(path); err != nil {
		return false, nil //nolint:nilerr // as above
	}
	l := flock.New(path)
	ok, err := l.TryRLock()
	if err != nil {
		return false, fmt.Errorf("looking at the builder's lock: %w", err)
	}
	if ok {
		return false, l.Close()
	}
	return true, nil
}

// Start returns the address of the running builder, starting it when it does
// not run. Of several processes that call it, one starts the builder and the
// others wait for it. A builder that does not come up is an
// [*UnreachableError] with the end of its log.
func (m Managed) Start(ctx context.Context) (string, error) {
	if err := CheckSocketFolder(filepath.Dir(m.Socket)); err != nil {
		return "", err
	}
	if s, err := m.State(); err != nil {
		return "", err
	} else if m.usable(s) && m.answers(ctx) == nil {
		return m.Address(), nil
	}
	if err := m.folders(); err != nil {
		return "", err
	}
	release, err := m.elect(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	s, err := m.settled(ctx)
	if err != nil {
		return "", err
	}
	if m.usable(s) {
		return m.Address(), m.wait(ctx, nil)
	}
	if s.Running {
		alone := flock.New(m.useLock())
		ok, err := alone.TryLock()
		if err != nil {
			return "", fmt.Errorf("looking at who uses the builder: %w", err)
		}
		if !ok { // they would lose it between two calls
			return m.Address(), m.wait(ctx, nil)
		}
		defer func() { _ = alone.Close() }() // the lock ends with the process at the latest
		if err := m.stop(ctx, s); err != nil {
			return "", err
		}
	}
	if err := m.kitGone(ctx); err != nil {
		return "", err
	}
	exited, err := m.spawn()
	if err != nil {
		return "", err
	}
	return m.Address(), m.wait(ctx, exited)
}

// Connect is [Managed.Start] and [Dial] in one. Until the client is closed nobody
// replaces the builder, whose idle time does not end for it.
func (m Managed) Connect(ctx context.Context) (*Client, error) {
	for attempt := 1; ; attempt++ {
		address, err := m.Start(ctx)
		if err != nil {
			return nil, err
		}
		use := flock.New(m.useLock())
		if _, err := use.TryRLockContext(ctx, 5*time.Millisecond); err != nil { // until it is replaced
			return nil, fmt.Errorf("waiting for the builder: %w", cmp.Or(ctx.Err(), err))
		}
		c, err := Dial(ctx, Options{Address: address})
		if err == nil {
			c.release = use.Close
			return c, nil
		}
		_ = use.Close() // the lock ends with the process at the latest
		if attempt == connectAttempts || ctx.Err() != nil {
			return nil, err
		}
	}
}

// connectAttempts is how often a builder may go away between its start and the first
// call to it.
const connectAttempts = 3

// usable reports whether a builder is to be used as it is.
func (m Managed) usable(s State) bool {
	return s.Running && s.PID != 0 && (s.Identity == m.Identity || s.Busy)
}

// elect waits until no other process starts or stops the builder.
func (m Managed) elect(ctx context.Context) (release func(), err error) {
	election := flock.New(filepath.Join(m.Root, "start.lock"))
	if _, err := election.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("waiting for another fnb to start the builder: %w", err)
	}
	return func() { _ = election.Close() }, nil // the lock ends with the process at the latest
}

// settled returns the state of a builder that is up or gone. One may still be
// coming up whose starter was killed.
func (m Managed) settled(ctx context.Context) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		s, err := m.State()
		if err != nil || !s.Running || s.PID != 0 {
			return s, err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return s, ctx.Err()
			}
			return s, m.unreachable(errors.New("one that was started before did not come up in time"))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// folders makes the builder's folders.
func (m Managed) folders() error {
	if len(m.Socket) > 100 {
		return fmt.Errorf("the builder's socket path %s is longer than a socket's may be: set XDG_RUNTIME_DIR to a shorter folder", m.Socket)
	}
	if err := privateDir(m.Root, 0o077); err != nil {
		return err
	}
	// The socket is the owner's alone; its folder must not let others replace it.
	return MakeSocketFolder(filepath.Dir(m.Socket), 0o022)
}

// privateDir makes a folder that only its owner can enter. It refuses one that
// belongs to somebody else, or whose mode has any of the bits.
func privateDir(dir string, bits fs.FileMode) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the builder's folder: %w", err)
	}
	fi, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("making the builder's folder: %w", err)
	}
	if !fi.IsDir() {
		return fmt.Errorf("making the builder's folder: %s is not a folder", dir)
	}
	if !OwnFile(fi) {
		return fmt.Errorf("making the builder's folder: %s belongs to another user", dir)
	}
	if fi.Mode().Perm()&bits != 0 {
		return fmt.Errorf("making the builder's folder: %s is open to other users (mode %04o): close it with chmod 700, or name another", dir, fi.Mode().Perm())
	}
	return nil
}

// spawn starts the builder in a session of its own, so that it outlives fnb and
// the terminal. The channel is closed when the process has ended.
func (m Managed) spawn() (<-chan struct{}, error) {
	log, err := os.OpenFile(m.logFile(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting the builder: %w", err)
	}
	defer func() { _ = log.Close() }() // the builder has its own
	args := m.Command
	if m.Rootless {
		if args, err = rootlessCommand(m); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(args[0], args[1:]...) //nolint:noctx // the builder outlives the command that starts it
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.Env, err = m.environ(); err != nil {
		return nil, err
	}
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the builder: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // what it has to say is in its log
	}()
	return exited, nil
}

// environ is what the builder may know of the environment it is started from:
// it outlives it, and a variable may hold a secret.
func (m Managed) environ() ([]string, error) {
	tmp, run := filepath.Join(m.Root, "tmp"), filepath.Join(m.Root, "run")
	for _, dir := range []string{tmp, run} { // endAbandoned looks there
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("making the builder's folder: %w", err)
		}
	}
	// What is mounted for a moment is there, and where the builder is rootless runc's
	// state. That of a user is gone when they log out, or was never there.
	env := []string{"PATH=" + searchPath(), "TMPDIR=" + tmp, "XDG_RUNTIME_DIR=" + run}
	for _, kv := range os.Environ() {
		k, _, _ := strings.Cut(kv, "=")
		switch upper := strings.ToUpper(k); {
		case k == "XDG_RUNTIME_DIR":
		case strings.HasPrefix(k, "XDG_"), strings.HasSuffix(upper, "_PROXY"),
			slices.Contains([]string{"HOME", "USER", "LOGNAME", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "FNB_CONFIG", "FNB_BUILDER_ROOT", "FNB_BUILDER_NETWORK", "FNB_BUILDER_SNAPSHOTTER"}, k):
			env = append(env, kv)
		}
	}
	return env, nil
}

// searchPath adds the folders where runc lives, which an ordinary user's PATH
// may lack.
func searchPath() string {
	p := os.Getenv("PATH")
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if !strings.Contains(":"+p+":", ":"+dir+":") {
			p += ":" + dir
		}
	}
	return p
}

// answers makes one round trip.
func (m Managed) answers(ctx context.Context) error {
	if _, err := os.Stat(m.Socket); err != nil {
		return err
	}
	c, err := Dial(ctx, Options{Address: m.Address()})
	if err != nil {
		return err
	}
	return c.Close()
}

// wait returns when the builder answers.
func (m Managed) wait(ctx context.Context, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for {
		if m.answers(ctx) == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return m.unreachable(errors.New("it did not come up in time"))
		case <-exited:
			return m.unreachable(errors.New("it ended at once"))
		case <-tick.C:
		}
	}
}

func (m Managed) unreachable(err error) error {
	e := &UnreachableError{Address: m.Address(), Err: err}
	if raw, rerr := os.ReadFile(m.logFile()); rerr == nil {
		lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
		e.Log = lines[max(0, len(lines)-10):]
	}
	return e
}

// Stop ends the builder and waits until it is gone; builds under way fail. One
// that does not run is not an error, and one that does not end is killed.
func (m Managed) Stop(ctx context.Context) error {
	if s, err := m.State(); err != nil || !s.Running {
		return err
	}
	release, err := m.elect(ctx)
	if err != nil {
		return err
	}
	defer release()
	s, err := m.settled(ctx)
	if err != nil || !s.Running {
		return err
	}
	return m.stop(ctx, s)
}

func (m Managed) stop(ctx context.Context, s State) error {
	kill := time.NewTimer(stopTimeout)
	defer kill.Stop()
	signal := syscall.SIGTERM
	for {
		if signal != 0 {
			if err := send(s.PID, signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return fmt.Errorf("stopping the builder (process %d): %w", s.PID, err)
			}
			signal = 0
		}
		held, err := locked(m.serveLock())
		if err != nil || !held {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the builder (process %d) to end: %w", s.PID, ctx.Err())
		case <-kill.C:
			signal = syscall.SIGKILL
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// lookPath finds a program on PATH and in the folders of searchPath.
func lookPath(name string) (string, error) {
	for _, dir := range filepath.SplitList(searchPath()) {
		p := filepath.Join(dir, name)
		if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fs.ErrNotExist
}
