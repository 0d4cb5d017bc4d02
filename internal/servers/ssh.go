package servers

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"
)

// privsepDir has to exist when root starts sshd; Debian's package leaves it to the
// service that nobody starts here.
const privsepDir = "/run/sshd"

var sshReady = regexp.MustCompile(`Server listening on 127\.0\.0\.1`)

// An SSH is a running OpenSSH server, into which the user who started it may log in
// with one key.
type SSH struct {
	// Addr is its host:port.
	Addr string
	// User is the name to log in with.
	User string
	// Key is the private key that it lets in.
	Key ed25519.PrivateKey
	// HostKeys are its own public keys: an RSA key and an Ed25519 key.
	HostKeys []ssh.PublicKey

	process *process
	dir     string
}

// StartSSH starts an OpenSSH server. It needs sshd, as Debian's package
// openssh-server has it; no service has to be enabled.
func StartSSH(ctx context.Context) (*SSH, error) {
	bin, err := sshd()
	if err != nil {
		return nil, err
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	port, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "fnb-ssh-")
	if err != nil {
		return nil, err
	}
	s := &SSH{Addr: "127.0.0.1:" + port, User: me.Username, dir: dir}
	if err := s.start(ctx, bin, port); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// sshd finds the server's program, which wants to be started by its whole path and
// is not in the PATH of everybody.
func sshd() (string, error) {
	if bin, err := exec.LookPath("sshd"); err == nil {
		return filepath.Abs(bin)
	}
	for _, bin := range []string{"/usr/sbin/sshd", "/sbin/sshd"} {
		if executable(bin) {
			return bin, nil
		}
	}
	return "", fmt.Errorf("sshd: %w; install it with: apt-get install openssh-server", exec.ErrNotFound)
}

func (s *SSH) start(ctx context.Context, bin, port string) error {
	root, err := Checkout() // what logs in there finds the tests' programs, too
	if err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		if err := os.MkdirAll(privsepDir, 0o755); err != nil {
			return err
		}
	}
	config := []string{
		"ListenAddress 127.0.0.1", "AuthorizedKeysFile " + s.path("authorized_keys"), "PidFile none", "LogLevel VERBOSE",
		"StrictModes no", "UsePAM no", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"PermitRootLogin prohibit-password", "AllowTcpForwarding local", "PermitOpen 127.0.0.1:*", "X11Forwarding no", `SetEnv "PATH=` + os.Getenv("PATH") + ":" + filepath.Join(root, "bin", "tools") + `"`,
	}
	for _, kind := range []string{"rsa", "ed25519"} {
		file := s.path("host_" + kind)
		if out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", file).CombinedOutput(); err != nil {
			return fmt.Errorf("ssh-keygen: %w: %s", err, out)
		}
		text, err := os.ReadFile(file + ".pub")
		if err != nil {
			return err
		}
		key, _, _, _, err := ssh.ParseAuthorizedKey(text)
		if err != nil {
			return err
		}
		s.HostKeys = append(s.HostKeys, key)
		config = append(config, "HostKey "+file)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	s.Key = private
	authorized, err := ssh.NewPublicKey(public)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path("authorized_keys"), ssh.MarshalAuthorizedKey(authorized), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(s.path("config"), []byte(strings.Join(config, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	// Close stops it, after those who speak to it.
	if s.process, err = startProcess("sshd", exec.CommandContext(context.WithoutCancel(ctx), bin, "-D", "-e", "-f", s.path("config"), "-p", port)); err != nil {
		return err
	}
	_, err = s.process.awaitLine(ctx, sshReady, 10*time.Second)
	return err
}

func (s *SSH) path(name string) string { return filepath.Join(s.dir, name) }

// URL returns the address of a folder of this machine.
func (s *SSH) URL(dir string) string {
	return "ssh://" + s.User + "@" + s.Addr + filepath.ToSlash(dir)
}

// KnownHosts returns the lines of a known_hosts file that has these keys for the
// server.
func (s *SSH) KnownHosts(keys ...ssh.PublicKey) string {
	var b strings.Builder
	for _, key := range keys {
		b.WriteString(knownhosts.Line([]string{s.Addr}, key) + "\n")
	}
	return b.String()
}

// Log returns what the server has said so far.
func (s *SSH) Log() string { return s.process.log.String() }

// Agent starts an ssh-agent that holds the keys and returns its socket. It ends
// with ctx.
func (s *SSH) Agent(ctx context.Context, keys ...ed25519.PrivateKey) (string, error) {
	dir, err := os.MkdirTemp(s.dir, "agent-")
	if err != nil {
		return "", err
	}
	ring := agent.NewKeyring()
	for _, key := range keys {
		if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
			return "", err
		}
	}
	socket := filepath.Join(dir, "socket")
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() { _ = l.Close() }) // nobody is left who asks
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = agent.ServeAgent(ring, conn) // ends with the client's connection
				_ = conn.Close()
			}()
		}
	}()
	return socket, nil
}

// Close stops the server and removes its files.
func (s *SSH) Close() error {
	var err error
	if s.process != nil {
		err = s.process.stop(5 * time.Second)
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// SSHFor starts an OpenSSH server for one test.
func SSHFor(tb testing.TB) *SSH {
	tb.Helper()
	s, err := StartSSH(tb.Context())
	Require(tb, "ssh", err)
	closeAtEnd(tb, s.Close)
	return s
}
