package managed

import (
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

	"fnb/builder"
	"fnb/internal/disk"
	"fnb/internal/private"
)

// startTimeout bounds how long a managed builder may take to answer, and
// stopTimeout how long to end by itself, which includes ShutdownTimeout.
const (
	startTimeout = 20 * time.Second
	stopTimeout  = 10 * time.Second
)

// ShutdownTimeout is how long a builder that is told to end lets the calls under way go on.
const ShutdownTimeout = 2 * time.Second

// A Builder is the builder that fnb starts and stops for one user: a process of
// its own, elected by a file lock, behind a socket that only the user can open.
type Builder struct {
	Root    string   // folder of its state: cache, log, locks
	Socket  string   // path of its socket
	Command []string // starts it in the foreground; has to call daemon.Serve with Root and Socket
	// Identity changes when the builder has to be started anew to be right: the
	// program or its settings changed. A builder of another identity is replaced, but
	// one that is busy, or that somebody is connected to, is used as it is.
	Identity string
	Rootless bool   // the builder runs in a user namespace, through rootlesskit
	Network  string // of RUN steps, as in ServeOptions; only daemon.Ready looks at it
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
func (m Builder) Address() string { return "unix://" + m.Socket }

func (m Builder) logFile() string   { return filepath.Join(m.Root, "builder.log") }
func (m Builder) stateFile() string { return filepath.Join(m.Root, "builder.json") }
func (m Builder) serveLock() string { return filepath.Join(m.Root, "serve.lock") }
func (m Builder) useLock() string   { return filepath.Join(m.Root, "use.lock") } // shared by those who are connected

// BusyFile is there while a call to the builder is under way.
func (m Builder) BusyFile() string { return filepath.Join(m.Root, "busy") }

// State returns what is known of the builder. One that was never started is not
// an error. A builder that is still coming up is Running, without a PID.
func (m Builder) State() (State, error) {
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
	_, err = os.Stat(m.BusyFile())
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
	unlock, free, err := disk.TryShare(path)
	if err != nil {
		return false, fmt.Errorf("looking at the builder's lock: %w", err)
	}
	if free {
		unlock()
	}
	return !free, nil
}

// Start returns the address of the running builder, starting it when it does
// not run. Of several processes that call it, one starts the builder and the
// others wait for it. A builder that does not come up is an
// [*builder.UnreachableError] with the end of its log.
func (m Builder) Start(ctx context.Context) (string, error) {
	if err := private.CheckSocketFolder(filepath.Dir(m.Socket)); err != nil {
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
		unlock, alone, err := disk.TryLock(m.useLock())
		if err != nil {
			return "", fmt.Errorf("looking at who uses the builder: %w", err)
		}
		if !alone { // they would lose it between two calls
			return m.Address(), m.wait(ctx, nil)
		}
		defer unlock()
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

// Connect is [Builder.Start] and [builder.Dial] in one. Until the client is closed nobody
// replaces the builder, whose idle time does not end for it.
func (m Builder) Connect(ctx context.Context) (*builder.Client, error) {
	for attempt := 1; ; attempt++ {
		address, err := m.Start(ctx)
		if err != nil {
			return nil, err
		}
		unlock, err := disk.Share(ctx, m.useLock()) // until it is replaced
		if err != nil {
			return nil, fmt.Errorf("waiting for the builder: %w", err)
		}
		c, err := builder.Dial(ctx, builder.Options{Address: address, OnClose: unlock})
		if err == nil {
			return c, nil
		}
		unlock()
		if attempt == connectAttempts || ctx.Err() != nil {
			return nil, err
		}
	}
}

// connectAttempts is how often a builder may go away between its start and the first
// call to it.
const connectAttempts = 3

// usable reports whether a builder is to be used as it is.
func (m Builder) usable(s State) bool {
	return s.Running && s.PID != 0 && (s.Identity == m.Identity || s.Busy)
}

// elect waits until no other process starts or stops the builder.
func (m Builder) elect(ctx context.Context) (release func(), err error) {
	release, err = disk.Lock(ctx, filepath.Join(m.Root, "start.lock"))
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("waiting for another fnb to start the builder: %w", err)
	}
	return release, err
}

// settled returns the state of a builder that is up or gone. One may still be
// coming up whose starter was killed.
func (m Builder) settled(ctx context.Context) (State, error) {
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
func (m Builder) folders() error {
	if len(m.Socket) > 100 {
		return fmt.Errorf("the builder's socket path %s is too long for a socket: set XDG_RUNTIME_DIR to a shorter folder", m.Socket)
	}
	if err := private.MakeFolder(m.Root, 0o077); err != nil {
		return fmt.Errorf("making the builder's folder: %w", err)
	}
	// The socket is the owner's alone; its folder must not let others replace it.
	return private.MakeSocketFolder(filepath.Dir(m.Socket), 0o022)
}

// spawn starts the builder in a session of its own, so that it outlives fnb and
// the terminal. The channel is closed when the process has ended.
func (m Builder) spawn() (<-chan struct{}, error) {
	log, err := os.OpenFile(m.logFile(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting the builder: %w", err)
	}
	defer func() { _ = log.Close() }() // the builder has its own
	args := m.Command
	if m.Rootless {
		if args, err = m.RootlessCommand(); err != nil {
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
func (m Builder) environ() ([]string, error) {
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
func (m Builder) answers(ctx context.Context) error {
	if _, err := os.Stat(m.Socket); err != nil {
		return err
	}
	c, err := builder.Dial(ctx, builder.Options{Address: m.Address()})
	if err != nil {
		return err
	}
	return c.Close()
}

// wait returns when the builder answers.
func (m Builder) wait(ctx context.Context, exited <-chan struct{}) error {
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

func (m Builder) unreachable(err error) error {
	e := &builder.UnreachableError{Address: m.Address(), Err: err}
	if raw, rerr := os.ReadFile(m.logFile()); rerr == nil {
		lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
		e.Log = lines[max(0, len(lines)-10):]
	}
	return e
}

// Stop ends the builder and waits until it is gone; builds under way fail. One
// that does not run is not an error, and one that does not end is killed. The folder
// of its socket, and the one above it, go if they are empty.
func (m Builder) Stop(ctx context.Context) error {
	if s, err := m.State(); err != nil {
		return err
	} else if s.Running {
		release, err := m.elect(ctx)
		if err != nil {
			return err
		}
		defer release()
		if s, err = m.settled(ctx); err != nil {
			return err
		}
		if s.Running {
			if err := m.stop(ctx, s); err != nil {
				return err
			}
		}
	}
	// If they are empty. A builder that starts makes its folder again.
	dir := filepath.Dir(m.Socket)
	_ = os.Remove(dir)
	_ = os.Remove(filepath.Dir(dir))
	return nil
}

func (m Builder) stop(ctx context.Context, s State) error {
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
		if err != nil {
			return err
		}
		if !held {
			return m.kitGone(ctx)
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

// LookPath finds a program on PATH and in the folders of searchPath.
func LookPath(name string) (string, error) {
	for _, dir := range filepath.SplitList(searchPath()) {
		p := filepath.Join(dir, name)
		if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fs.ErrNotExist
}

// Claim makes the process that calls it the running builder: it makes the builder's
// folders, takes the lock that shows that it runs, and removes what one that was killed
// has left. The lock ends with release, or with the process; whoever keeps it must keep release.
func (m Builder) Claim(ctx context.Context) (release func(), err error) {
	if err := m.folders(); err != nil {
		return nil, err
	}
	// Another process that asks whether a builder runs holds the lock for a
	// moment.
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	release, err = disk.Lock(ctx, m.serveLock())
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("another builder runs on %s", m.Root)
	}
	if err != nil {
		return nil, err
	}
	for _, left := range []string{m.stateFile(), m.BusyFile()} {
		if err := os.Remove(left); err != nil && !errors.Is(err, fs.ErrNotExist) {
			release()
			return nil, fmt.Errorf("removing what the last builder left: %w", err)
		}
	}
	return release, nil
}

// Announce says that this process is the builder and listens on its socket, until
// withdraw is called.
func (m Builder) Announce() (withdraw func(), err error) {
	raw, err := json.Marshal(State{PID: os.Getpid(), Identity: m.Identity, Socket: m.Socket, Started: time.Now().UTC()})
	if err != nil {
		return nil, err
	}
	withdraw = func() { _ = os.Remove(m.stateFile()) } // a stale one does no harm: the lock decides
	return withdraw, disk.ReplaceFile(m.stateFile(), raw, 0o600)
}
