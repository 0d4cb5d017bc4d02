package store

import (
	"context"
	"errors"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"fnb/internal/plain"
	"fnb/origin"
)

// An sshAuth is how one connection is made: with the keys of ssh-agent, to a host
// that known_hosts has. go-git's own way to do so takes a host for changed of which
// known_hosts has not the kind of key that is tried first.
type sshAuth struct {
	url, host string // for errors
	config    ssh.ClientConfig

	keys     int // how many the agent has
	silent   bool
	refused  error // why the host's key was not taken
	closeNow func()
	reach    origin.Reach // of whoever showed a key
}

// Name implements [transport.AuthMethod].
func (*sshAuth) Name() string { return gitssh.PublicKeysCallbackName }

// String implements [transport.AuthMethod].
func (*sshAuth) String() string { return "the keys of ssh-agent" }

// ClientConfig implements [gitssh.AuthMethod].
func (a *sshAuth) ClientConfig() (*ssh.ClientConfig, error) {
	config := a.config
	return &config, nil
}

// dialSSH is dial by SSH.
func (r *remote) dialSSH(ctx context.Context, ep *transport.Endpoint) error {
	auth, err := newSSHAuth(ctx, r, ep)
	if err != nil {
		return err
	}
	err = r.startWithin(ctx, func(ctx context.Context, late *remote) error {
		defer auth.closeNow()
		return late.start(ctx, gitssh.NewClient(nil), ep, auth)
	})
	if err == nil {
		r.reach = auth.reach
	}
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	if e := auth.explain(err); e != nil {
		return e
	}
	return r.explain(ctx, err, false)
}

// newSSHAuth reads known_hosts and asks ssh-agent for its keys. An agent that is
// missing is no error yet: the host comes first.
func newSSHAuth(ctx context.Context, r *remote, ep *transport.Endpoint) (*sshAuth, error) {
	opts := r.store.opts
	a := &sshAuth{url: r.url, host: hostPort(ep), closeNow: func() {}}
	a.config.User, a.config.Timeout = ep.User, opts.Timeout
	if ep.User == "" {
		me, err := user.Current()
		if err != nil {
			return nil, &UnreachableError{URL: r.url, Err: err}
		}
		a.config.User = me.Username
	}
	if err := a.knowHosts(opts.Getenv, sshAddress(ep)); err != nil {
		return nil, &UnreachableError{URL: r.url, Err: plain.Error(err)}
	}
	socket := opts.Getenv("SSH_AUTH_SOCK")
	if opts.maySend != nil && !opts.maySend(r.url) {
		socket = ""
	}
	signers := a.askAgent(ctx, socket, opts.Timeout)
	if len(signers) > 0 && opts.sent != nil {
		opts.sent(r.url)
	}
	a.keys = len(signers)
	a.config.Auth = []ssh.AuthMethod{ssh.PublicKeys(signers...)}
	return a, nil
}

// askAgent returns the keys of the agent at a socket.
func (a *sshAuth) askAgent(ctx context.Context, socket string, limit time.Duration) []ssh.Signer {
	if socket == "" {
		return nil
	}
	conn, err := (&net.Dialer{Timeout: limit}).DialContext(ctx, "unix", socket)
	if err != nil {
		a.silent = true
		return nil
	}
	a.closeNow = func() { _ = conn.Close() } // it was only asked
	// Signing may take as long as a person takes to agree to it, within the limit.
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		a.silent = true
		return nil
	}
	signers, err := agent.NewClient(conn).Signers()
	a.silent = err != nil
	return signers
}

// hostPort is an endpoint's host, with its port where it has one.
func hostPort(ep *transport.Endpoint) string {
	if ep.Port == 0 {
		return ep.Host
	}
	return ep.Host + ":" + strconv.Itoa(ep.Port)
}

// sshAddress is where go-git connects to: ~/.ssh/config may give a host another name
// and port.
func sshAddress(ep *transport.Endpoint) string {
	host, port := ep.Host, ep.Port
	if port <= 0 {
		port = gitssh.DefaultPort
	}
	if config := gitssh.DefaultSSHConfig; config != nil {
		if name := config.Get(ep.Host, "Hostname"); name != "" {
			host = name
			if p, err := strconv.Atoi(config.Get(ep.Host, "Port")); err == nil {
				port = p
			}
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// knowHosts takes the keys that known_hosts has for the address, and no others.
func (a *sshAuth) knowHosts(getenv func(string) string, address string) error {
	var files []string
	for _, file := range knownHostsFiles(getenv) {
		if _, err := os.Stat(file); err == nil {
			files = append(files, file)
		}
	}
	check := func(string, net.Addr, ssh.PublicKey) error { return &knownhosts.KeyError{} }
	if len(files) > 0 {
		db, err := gitssh.NewKnownHostsDb(files...)
		if err != nil {
			return err
		}
		check = db.HostKeyCallback()
		// Of the host's keys only those can be compared that are known.
		a.config.HostKeyAlgorithms = db.HostKeyAlgorithms(address)
	}
	a.config.HostKeyCallback = func(host string, addr net.Addr, key ssh.PublicKey) error {
		a.reach = origin.Public
		if tcp, ok := addr.(*net.TCPAddr); ok {
			a.reach = origin.ReachOf(tcp.AddrPort().Addr())
		}
		err := check(host, addr, key)
		if err == nil {
			return nil
		}
		e := &HostKeyError{URL: a.url, Host: a.host, Fingerprint: ssh.FingerprintSHA256(key)}
		if known, ok := errors.AsType[*knownhosts.KeyError](err); ok {
			e.Changed = len(known.Want) > 0
		} else {
			e.Revoked = true
		}
		a.refused = e
		return e
	}
	return nil
}

// knownHostsFiles are the files that ssh and go-git read.
func knownHostsFiles(getenv func(string) string) []string {
	if list := getenv("SSH_KNOWN_HOSTS"); list != "" {
		return filepath.SplitList(list)
	}
	files := []string{"/etc/ssh/ssh_known_hosts"}
	if home := getenv("HOME"); home != "" {
		files = append(files, filepath.Join(home, ".ssh", "known_hosts"))
	}
	return files
}

// explain makes a typed error of what the handshake says, which has no types; nil
// when neither host nor keys are the reason.
func (a *sshAuth) explain(err error) error {
	if a.refused != nil {
		return a.refused
	}
	text := err.Error()
	if strings.Contains(text, "unable to authenticate") || strings.Contains(strings.ToLower(text), "too many authentication failures") {
		return &AuthError{URL: a.url, Host: a.host, Sent: a.keys > 0, SSH: true, Silent: a.silent}
	}
	return nil
}
