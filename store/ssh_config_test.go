package store_test

import (
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/origin"
	"fnb/store"
)

// sshSettings makes a home whose ~/.ssh has the server's key, its hosts and a
// configuration, in which SSHDIR is the folder, and PORT and USER are the server's.
func sshSettings(t *testing.T, server *servers.SSH, config string) map[string]string {
	t.Helper()
	env := sshHome(t, server.KnownHosts(server.HostKeys...), "")
	dir := filepath.Join(env["HOME"], ".ssh")
	block, err := ssh.MarshalPrivateKey(server.Key, "")
	fixture.Must(t, err)
	fixture.Must(t, os.WriteFile(filepath.Join(dir, "work"), pem.EncodeToMemory(block), 0o600))
	_, port, err := net.SplitHostPort(server.Addr)
	fixture.Must(t, err)
	config = strings.NewReplacer("SSHDIR", dir, "PORT", port, "USER", server.User).Replace(config)
	fixture.Must(t, os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600))
	env["GIT_CONFIG_NOSYSTEM"] = "1"
	return env
}

// TestSSHConfig goes where ~/.ssh/config says, as whom it says, with the key that it names.
func TestSSHConfig(t *testing.T) {
	t.Parallel()
	server, g := servers.SSHFor(t), gitServer(t, servers.GitOptions{})
	h := commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0")})
	repo := filepath.ToSlash(filepath.Join(g.Dir, "one.git"))
	right := sshAgent(t, server, server.Key)
	whole := "Host work\n HostName 127.0.0.1\n Port PORT\n User USER\n IdentityFile ~/.ssh/work\n"
	_, stranger := newKey(t)
	for name, test := range map[string]struct {
		config, url string
		env         map[string]string
		fails       string
	}{
		"all of it":             {whole, "ssh://work" + repo, nil, ""},
		"a port alone":          {"Host 127.0.0.1\n Port PORT\n User USER\n IdentityFile work\n", "ssh://127.0.0.1" + repo, nil, ""},
		"scp-like":              {strings.Replace(whole, "Port PORT", "Port = PORT", 1), "USER@work:" + repo, nil, ""},
		"the agent's key alone": {whole + " IdentitiesOnly yes\n", "ssh://work" + repo, map[string]string{"SSH_AUTH_SOCK": sshAgent(t, server, stranger, server.Key)}, ""},
		"an agent of its own":   {strings.Replace(whole, "IdentityFile ~/.ssh/work", "IdentityAgent "+right, 1), "ssh://work" + repo, nil, ""},
		"Match":                 {"Match exec \"false\"\n HostName 192.0.2.1\nMatch host work\n Port PORT\n" + whole, "ssh://work" + repo, nil, ""},
		"a jump":                {whole + " ProxyJump USER@first:PORT\nHost first\n HostName 127.0.0.1\n IdentityFile ~/.ssh/work\n", "ssh://work" + repo, nil, ""},
		"two jumps":             {whole + " ProxyJump first,second\nHost first second\n HostName 127.0.0.1\n Port PORT\n User USER\n IdentityFile ~/.ssh/work\n", "ssh://work" + repo, nil, ""},
		"HostKeyAlias unknown":  {whole + " HostKeyAlias other\n", "ssh://work" + repo, nil, "is not in known_hosts"},
		"a circle":              {whole + " ProxyJump work\n", "ssh://work" + repo, nil, "by way of more than 8 hosts"},
		"ProxyCommand":          {whole + " ProxyCommand nc %h %p\n", "ssh://work" + repo, nil, "has a ProxyCommand for work, which is not followed"},
		"ssh itself":            {whole + " UserKnownHostsFile SSHDIR/known_hosts\n ProxyCommand sh -c 'exec ssh -F SSHDIR/config -W 127.0.0.1:PORT first'\nHost first\n HostName 127.0.0.1\n Port PORT\n User USER\n IdentityFile SSHDIR/work\n UserKnownHostsFile SSHDIR/known_hosts\n", "ssh://work" + repo, map[string]string{"GIT_SSH_COMMAND": "ssh -F SSHDIR/config -i SSHDIR/work"}, ""},
		"core.sshCommand":       {"", "ssh://USER@127.0.0.1:PORT" + repo, map[string]string{"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.sshCommand", "GIT_CONFIG_VALUE_0": "ssh -F none -o UserKnownHostsFile=SSHDIR/known_hosts -i SSHDIR/work"}, ""},
		"a command that fails":  {"", "ssh://git@127.0.0.1" + repo, map[string]string{"GIT_SSH_COMMAND": "echo no such luck >&2; false"}, "the server says: no such luck"},
		"no such repository":    {whole, "ssh://work/nowhere", nil, "the server has no such repository"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := sshSettings(t, server, test.config)
			_, port, err := net.SplitHostPort(server.Addr)
			fixture.Must(t, err)
			r := strings.NewReplacer("SSHDIR", filepath.Join(env["HOME"], ".ssh"), "PORT", port, "USER", server.User)
			for k, v := range test.env {
				env[k] = r.Replace(v)
			}
			_, pin, _, err := newStore(t, store.Options{Getenv: envOf(env)}).Resolve(t.Context(), r.Replace(test.url), store.Scope{Root: t.TempDir()})
			if test.fails == "" && (err != nil || pin.Commit != h[0]) || test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)) {
				t.Errorf("%+v %v", pin, err)
			}
		})
	}
}

// TestSSHLeadsNobodyInward has a store on a public address name hosts that ~/.ssh/config
// knows.
func TestSSHLeadsNobodyInward(t *testing.T) {
	t.Parallel()
	server, g := servers.SSHFor(t), gitServer(t, servers.GitOptions{})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0")})
	repo := filepath.ToSlash(filepath.Join(g.Dir, "one.git"))
	for config, command := range map[string]string{
		"Host work.example.invalid\n HostName 127.0.0.1\n Port PORT\n User USER\n IdentityFile ~/.ssh/work\n":  "",
		"Host *.invalid\n ProxyJump USER@127.0.0.1:PORT\nHost 127.0.0.1\n IdentityFile ~/.ssh/work\n":          "",
		"Host work.example.invalid\n HostName 127.0.0.1\n Port PORT\n User USER\n IdentityFile ~/.ssh/work\n#": "ssh -F /dev/null",
	} {
		env := sshSettings(t, server, config)
		env["GIT_SSH_COMMAND"] = command
		s := newStore(t, store.Options{Getenv: envOf(env)}).Within(origin.Public)
		_, _, _, err := s.Resolve(t.Context(), "ssh://work.example.invalid"+repo, store.Scope{Root: t.TempDir()})
		if err == nil || strings.Contains(server.Log(), "Starting session") {
			t.Errorf("%q: %v", config, err)
		}
	}
}
