package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	cryptohosts "golang.org/x/crypto/ssh/knownhosts"

	"fnb/internal/plain"
	"fnb/origin"
	"fnb/store/gitconfig"
)

// An sshAuth is how one connection is made: with the keys of ssh-agent and those in
// files, to a host that known_hosts has.
type sshAuth struct {
	url    string // for errors
	to     *gitconfig.Host
	config ssh.ClientConfig

	keys    int // how many there are
	silent  bool
	refused error // why the host's key was not taken
	agent   net.Conn
}

// dialSSH is dial by SSH: with ssh itself where git is told so, and otherwise as
// ~/.ssh/config has it.
func (r *Remote) dialSSH(ctx context.Context) error {
	if own := r.sshCommand(); own != nil && r.mayShow() {
		if err := r.checkBehind(ctx, r.way.ep.Host); err != nil {
			return err
		}
		r.reach = origin.Public
		return r.explain(ctx, r.greetWithin(ctx, r.commandWire(own)), false)
	}
	config, err := gitconfig.ReadSSH(r.client.opts.Getenv)
	if err != nil {
		return r.unreachable(err)
	}
	to, err := config.Host(bare(r.way.ep.Host), r.way.ep.User, r.way.ep.Port)
	if err != nil {
		return r.unreachable(err)
	}
	r.way.unfollowed = append(r.way.unfollowed, to.Unfollowed...)
	var auth *sshAuth // of the last host that was asked
	err = r.greetWithin(ctx, &streamWire{open: func(ctx context.Context, service string) (*stream, error) {
		client, closeAll, err := r.sshClient(ctx, config, to, &auth)
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { _ = closeAll() }) // whoever waits is told
		defer stop()
		return sshStream(client, closeAll, service+" "+shellQuoted(r.way.ep.Path))
	}})
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	if auth != nil {
		if e := auth.explain(err); e != nil {
			return e
		}
	}
	return r.explain(ctx, err, false)
}

// sshClient logs in to a host, by way of others where that is said.
func (r *Remote) sshClient(ctx context.Context, config *gitconfig.SSH, to *gitconfig.Host, last **sshAuth) (*ssh.Client, func() error, error) {
	hops, err := config.Jumps(to)
	if err != nil {
		return nil, nil, err
	}
	if len(hops) > 0 {
		if err := r.checkBehind(ctx, to.Name); err != nil {
			return nil, nil, err
		}
	}
	var clients []*ssh.Client
	closeAll := func() error {
		var err error
		for i := range clients {
			err = errors.Join(err, clients[len(clients)-1-i].Close())
		}
		if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	for i, host := range append(hops, to) {
		conn, err := r.sshConn(ctx, clients, host, len(hops) > 0 && i == 0)
		if err != nil {
			return nil, nil, errors.Join(err, closeAll())
		}
		if *last, err = newSSHAuth(ctx, r, host); err != nil {
			return nil, nil, errors.Join(err, conn.Close(), closeAll())
		}
		client, err := (*last).login(ctx, conn)
		if err != nil {
			return nil, nil, errors.Join(err, closeAll())
		}
		clients = append(clients, client)
	}
	return clients[len(clients)-1], closeAll, nil
}

// sshConn connects to a host, from the last of those that are logged in to. How far away
// one is that is behind another nobody can tell.
func (r *Remote) sshConn(ctx context.Context, through []*ssh.Client, to *gitconfig.Host, first bool) (net.Conn, error) {
	if len(through) > 0 {
		r.reach = origin.Public
		return through[len(through)-1].DialContext(ctx, "tcp", to.Address())
	}
	if first { // the user's own configuration leads there
		return (&net.Dialer{}).DialContext(ctx, "tcp", to.Address())
	}
	return r.connectTo(ctx, to.Address())
}

// checkBehind is checkReach for what is asked by way of somebody else: a name without a
// public address is one of theirs.
func (r *Remote) checkBehind(ctx context.Context, host string) error {
	if r.least() == origin.Machine || r.client.opts.anywhere(host) {
		return nil
	}
	reach, known := origin.ReachOfHost(host)
	if !known {
		if addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil || len(addrs) == 0 {
			reach = origin.Network
		}
	}
	if reach < r.least() {
		return &InwardError{URL: r.url, Host: host, Reach: reach}
	}
	return nil
}

// sshStream starts a service on a host.
func sshStream(client *ssh.Client, closeAll func() error, command string) (_ *stream, err error) {
	session, err := client.NewSession()
	if err != nil {
		return nil, errors.Join(err, closeAll())
	}
	said := &lastSaid{}
	session.Stderr = said
	in, err := session.StdinPipe()
	if err != nil {
		return nil, errors.Join(err, closeAll())
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, closeAll())
	}
	if err := session.Start(command); err != nil {
		return nil, errors.Join(err, closeAll())
	}
	return &stream{in: in, out: out, stop: closeAll, words: func() string {
		return said.after(func() { _ = session.Wait() }) // how it ended is of no interest
	}}, nil
}

// A lastSaid keeps the beginning of what a program says beside its answer.
type lastSaid struct {
	mu sync.Mutex
	headBuffer
}

// Write implements [io.Writer].
func (l *lastSaid) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.headBuffer.Write(p)
}

// after is what was said once wait has returned, which may not take long.
func (l *lastSaid) after(wait func()) string {
	done := make(chan struct{})
	go func() { wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(lastWords):
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var words []string
	for line := range strings.Lines(l.String()) {
		line = strings.Trim(strings.TrimPrefix(strings.TrimSpace(line), "remote:"), " =\t")
		if line != "" && !strings.HasPrefix(line, "Warning: Permanently added") {
			words = append(words, line)
		}
	}
	return strings.Join(words, " ")
}

// shellQuoted is a word for the shell of the other side, as git quotes it.
func shellQuoted(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(s) + "'"
}

// newSSHAuth reads known_hosts and asks for keys. An agent that is missing is no error
// yet: the host comes first.
func newSSHAuth(ctx context.Context, r *Remote, to *gitconfig.Host) (*sshAuth, error) {
	opts := r.client.opts
	a := &sshAuth{url: r.url, to: to}
	a.config.User, a.config.Timeout = to.User, opts.Timeout
	if err := a.knowHosts(); err != nil {
		return nil, err
	}
	if !r.mayAuthenticate() {
		return a, nil
	}
	signers := a.askAgent(ctx, opts.Timeout)
	for _, file := range to.Identities {
		if signer := fileKey(file); signer != nil {
			signers = append(signers, signer)
		}
	}
	if len(signers) > 0 && opts.Restraint.Sent != nil {
		opts.Restraint.Sent(r.url)
	}
	a.keys = len(signers)
	a.config.Auth = []ssh.AuthMethod{ssh.PublicKeys(signers...)}
	return a, nil
}

// fileKey reads a private key; nil where there is none, or one with a passphrase, for
// which nobody is asked: ssh-agent may have it.
func fileKey(file string) ssh.Signer {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 {
		return nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	signer, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return nil
	}
	return signer
}

// askAgent returns the keys of the agent; with IdentitiesOnly those that are named.
func (a *sshAuth) askAgent(ctx context.Context, limit time.Duration) []ssh.Signer {
	if a.to.Agent == "" {
		return nil
	}
	conn, err := (&net.Dialer{Timeout: limit}).DialContext(ctx, "unix", a.to.Agent)
	if err != nil {
		a.silent = true
		return nil
	}
	a.agent = conn
	// Signing may take as long as a person takes to agree to it, within the limit.
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		a.silent = true
		return nil
	}
	signers, err := agent.NewClient(conn).Signers()
	a.silent = err != nil
	if !a.to.OnlyNamed {
		return signers
	}
	var named []ssh.Signer
	for _, s := range signers {
		for _, file := range a.to.Identities {
			if public := publicKey(file); public != nil && bytes.Equal(public.Marshal(), s.PublicKey().Marshal()) {
				named = append(named, s)
				break
			}
		}
	}
	return named
}

// publicKey is that of a key file, from itself or the file beside it.
func publicKey(file string) ssh.PublicKey {
	for _, name := range []string{file, file + ".pub"} {
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if key, _, _, _, err := ssh.ParseAuthorizedKey(data); err == nil {
			return key
		}
	}
	if signer := fileKey(file); signer != nil {
		return signer.PublicKey()
	}
	return nil
}

// login makes a connection one by SSH, until ctx ends.
func (a *sshAuth) login(ctx context.Context, conn net.Conn) (*ssh.Client, error) {
	if a.agent != nil {
		defer func() { _ = a.agent.Close() }() // it was only asked
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // the handshake is told
	defer stop()
	c, channels, requests, err := ssh.NewClientConn(conn, a.to.Known(), &a.config)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return ssh.NewClient(c, channels, requests), nil
}

// knowHosts takes the keys that known_hosts has for the host, and no others.
func (a *sshAuth) knowHosts() error {
	var files []string
	for _, file := range a.to.KnownHosts {
		if _, err := os.Stat(file); err == nil {
			files = append(files, file)
		}
	}
	check := func(string, net.Addr, ssh.PublicKey) error { return &cryptohosts.KeyError{} }
	if len(files) > 0 {
		db, err := knownhosts.NewDB(files...)
		if err != nil {
			return fmt.Errorf("reading known_hosts: %w", plain.Error(err))
		}
		check = db.HostKeyCallback()
		// Of the host's keys only those can be compared that are known.
		a.config.HostKeyAlgorithms = db.HostKeyAlgorithms(a.to.Known())
	}
	a.config.HostKeyCallback = func(host string, addr net.Addr, key ssh.PublicKey) error {
		if a.to.Alias {
			addr = &net.TCPAddr{} // the name alone decides
		}
		err := check(host, addr, key)
		if err == nil {
			return nil
		}
		e := &HostKeyError{URL: a.url, Host: a.to.Shown, Fingerprint: ssh.FingerprintSHA256(key)}
		if known, ok := errors.AsType[*cryptohosts.KeyError](err); ok {
			e.Changed = len(known.Want) > 0
		} else {
			e.Revoked = true
		}
		a.refused = e
		return e
	}
	return nil
}

// explain makes a typed error of what the handshake says, which has no types; nil
// when neither host nor keys are the reason.
func (a *sshAuth) explain(err error) error {
	if a.refused != nil {
		return a.refused
	}
	text := err.Error()
	if strings.Contains(text, "unable to authenticate") || strings.Contains(strings.ToLower(text), "too many authentication failures") {
		return &AuthError{URL: a.url, Host: a.to.Shown, Sent: a.keys > 0, SSH: true, Silent: a.silent}
	}
	return nil
}
