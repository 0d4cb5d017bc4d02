package program

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/moby/buildkit/client/connhelper/dockercontainer"
	"github.com/moby/buildkit/client/connhelper/kubepod"
	"github.com/moby/buildkit/client/connhelper/nerdctlcontainer"
	"github.com/moby/buildkit/client/connhelper/podmancontainer"
	"github.com/moby/buildkit/client/connhelper/ssh"

	"fnb/internal/plain"
)

// A Program reaches a BuildKit through a program of the user's, such as kubectl, that joins its standard input and
// output to it. It keeps what the program complains about, which BuildKit's own helpers lose where that comes late.
type Program struct {
	words []string

	mu   sync.Mutex
	last *complaint // of the program that was started last; nil before that
}

// dialStdio has a BuildKit's client join a connection to its standard input and output.
const dialStdio = "dial-stdio"

// Of is the program that leads to a builder's address; nil if none is needed.
func Of(u *url.URL) (*Program, error) {
	var words []string
	flag := func(name, value string) {
		if value != "" {
			words = append(words, name+"="+value)
		}
	}
	switch u.Scheme {
	case "docker-container":
		s, err := dockercontainer.SpecFromURL(u)
		if err != nil {
			return nil, err
		}
		words = []string{"docker"}
		flag("--context", s.Context)
		words = append(words, "exec", "-i", s.Container, "buildctl", dialStdio)
	case "podman-container":
		s, err := podmancontainer.SpecFromURL(u)
		if err != nil {
			return nil, err
		}
		words = []string{"podman", "exec", "-i", s.Container, "buildctl", dialStdio}
	case "nerdctl-container":
		s, err := nerdctlcontainer.SpecFromURL(u)
		if err != nil {
			return nil, err
		}
		words = []string{"nerdctl", "exec"}
		flag("--namespace", s.Namespace)
		words = append(words, "-i", s.Container, "buildctl", dialStdio)
	case "kube-pod":
		s, err := kubepod.SpecFromURL(u)
		if err != nil {
			return nil, err
		}
		words = []string{"kubectl"}
		flag("--context", s.Context)
		flag("--namespace", s.Namespace)
		words = append(words, "exec")
		flag("--container", s.Container)
		words = append(words, "-i", s.Pod, "--", "buildctl", dialStdio)
	case "ssh":
		s, err := ssh.SpecFromURL(u)
		if err != nil {
			return nil, err
		}
		words = []string{"ssh"}
		if s.User != "" {
			words = append(words, "-l", s.User)
		}
		if s.Port != "" {
			words = append(words, "-p", s.Port)
		}
		words = append(words, "--", s.Host, "buildctl")
		if s.Socket != "" {
			words = append(words, "--addr", "unix://"+s.Socket)
		}
		words = append(words, dialStdio)
	default:
		return nil, nil //nolint:nilnil // there is none
	}
	return &Program{words: words}, nil
}

// Dial starts the program. It lives as long as the connection, whatever ctx does.
func (p *Program) Dial(context.Context, string) (net.Conn, error) {
	cmd := exec.Command(p.words[0], p.words[1:]...) //nolint:noctx,gosec // the connection ends it; each word was checked
	said := &complaint{}
	p.mu.Lock()
	p.last = said
	p.mu.Unlock()
	cmd.Stderr = said
	cmd.WaitDelay = time.Second
	apart(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			err = errors.New("it is not on PATH")
		}
		_, _ = said.Write([]byte(err.Error())) // never fails
		return nil, err
	}
	running := &conn{WriteCloser: in, out: out, cmd: cmd, ended: make(chan struct{}), read: make(chan struct{})}
	go running.wait()
	return running, nil
}

// Said is what the program that was started last has complained about, with its name; "" is nothing.
func (p *Program) Said() string {
	if p == nil {
		return ""
	}
	p.mu.Lock()
	last := p.last
	p.mu.Unlock()
	if last == nil {
		return ""
	}
	if text := last.String(); text != "" {
		return p.words[0] + ": " + text
	}
	return ""
}

// A complaint keeps the end of what a program writes to its standard error.
type complaint struct {
	mu   sync.Mutex
	text []byte
}

const complaintMost = 4 << 10

// Write implements [io.Writer].
func (c *complaint) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = append(c.text, p...)
	if over := len(c.text) - complaintMost; over > 0 {
		c.text = append(c.text[:0], c.text[over:]...)
	}
	return len(p), nil
}

// complaintLines is how many lines of a complaint are shown, the last ones: they say how it ended.
const complaintLines = 3

func (c *complaint) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Which kubectl says of every pod with two.
	lines := slices.DeleteFunc(plain.Complaint(string(c.text)), func(line string) bool { return strings.HasPrefix(line, "Defaulted container ") })
	return strings.Join(lines[max(0, len(lines)-complaintLines):], "; ")
}

// A conn is a program's standard input and output.
type conn struct {
	io.WriteCloser
	out   io.ReadCloser
	cmd   *exec.Cmd
	once  sync.Once
	done  sync.Once
	ended chan struct{} // closed when the program has ended, and has said why
	read  chan struct{} // closed when nothing more is read of it
}

// wait ends with the program. Its output is not waited for, which is read to its end before.
func (c *conn) wait() {
	<-c.read
	_ = c.cmd.Wait() // what it has said is in its complaint
	close(c.ended)
}

// patience is how long a program may take to end that has closed its output, or whose input was closed.
const patience = 2 * time.Second

// Read implements [net.Conn].
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.out.Read(p)
	if err != nil {
		c.done.Do(func() { close(c.read) })
		select { // what it complains about comes with its end
		case <-c.ended:
		case <-time.After(patience):
		}
	}
	return n, err
}

// Close ends the program: politely at first, so that what it has begun elsewhere ends too.
func (c *conn) Close() error {
	c.once.Do(func() {
		_ = c.WriteCloser.Close()                 // it may have ended
		_ = c.cmd.Process.Signal(syscall.SIGTERM) // the same
		c.done.Do(func() { close(c.read) })       // nobody reads any more
		go func() {
			select {
			case <-c.ended:
			case <-time.After(patience):
				_ = c.cmd.Process.Kill() // it may have ended
			}
		}()
		_ = c.out.Close() // a read that waits ends
	})
	return nil
}

// LocalAddr implements [net.Conn].
func (c *conn) LocalAddr() net.Addr { return programAddr(c.cmd.Path) }

// RemoteAddr implements [net.Conn].
func (c *conn) RemoteAddr() net.Addr { return programAddr(c.cmd.Path) }

// SetDeadline implements [net.Conn]; a program has none.
func (c *conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements [net.Conn].
func (c *conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements [net.Conn].
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// A programAddr is the address of a program.
type programAddr string

// Network implements [net.Addr].
func (programAddr) Network() string { return "program" }

func (a programAddr) String() string { return string(a) }
