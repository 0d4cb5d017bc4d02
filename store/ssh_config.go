package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kevinburke/ssh_config"

	"fnb/internal/plain"
)

// An sshConfig is ~/.ssh/config, and then /etc/ssh/ssh_config.
type sshConfig struct {
	files      []*ssh_config.Config
	getenv     func(string) string
	unfollowed []string
}

// An sshHost is a host as the configuration has it.
type sshHost struct {
	shown      string // as it was written, with its port
	name, port string // what is connected to
	user       string
	key        string // the name in known_hosts, where that is another one
	alias      bool   // there is one
	agent      string // socket
	identities []string
	onlyNamed  bool // of the agent's keys
	knownHosts []string
	jump       string
	unfollowed []string
}

// address is what is connected to.
func (h *sshHost) address() string { return net.JoinHostPort(h.name, h.port) }

// known is what known_hosts has the host as.
func (h *sshHost) known() string {
	if h.alias {
		return net.JoinHostPort(h.key, "22")
	}
	return h.address()
}

// readSSHConfig reads the two files.
func readSSHConfig(getenv func(string) string) (*sshConfig, error) {
	c := &sshConfig{getenv: getenv}
	var files []string
	if home := getenv("HOME"); home != "" {
		files = append(files, filepath.Join(home, ".ssh", "config"))
	}
	for _, file := range append(files, "/etc/ssh/ssh_config") {
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading ssh's configuration: %w", err)
		}
		parsed, err := ssh_config.DecodeBytes(c.withoutConditions(data))
		if err != nil {
			return nil, fmt.Errorf("reading ssh's configuration: %s: %w (git may be told to use ssh itself: GIT_SSH_COMMAND=ssh)", file, plain.Error(err))
		}
		c.files = append(c.files, parsed)
	}
	return c, nil
}

// withoutConditions makes of each Match that asks for more than the host's name one that
// no host fits.
func (c *sshConfig) withoutConditions(data []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(data) {
		words := strings.Fields(strings.Replace(string(line), "=", " ", 1))
		if len(words) == 0 || !strings.EqualFold(words[0], "Match") {
			out.Write(line)
			continue
		}
		switch {
		case len(words) == 2 && strings.EqualFold(words[1], "all"):
			out.WriteString("Host *\n")
		case len(words) == 3 && (strings.EqualFold(words[1], "host") || strings.EqualFold(words[1], "originalhost")):
			out.WriteString("Host " + strings.ReplaceAll(words[2], ",", " ") + "\n")
		default:
			out.WriteString("Host !*\n")
			c.unfollowed = append(c.unfollowed, "Match with a condition, of ssh's configuration")
		}
	}
	return out.Bytes()
}

// get is the first value that a host has for a key.
func (c *sshConfig) get(host, key string) string {
	for _, f := range c.files {
		if v, err := f.Get(host, key); err == nil && v != "" {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// all are the values for a key that may be there several times.
func (c *sshConfig) all(host, key string) []string {
	var all []string
	for _, f := range c.files {
		if values, err := f.GetAll(host, key); err == nil {
			all = append(all, values...)
		}
	}
	return all
}

// host is what the configuration says of a host. What was asked for with it goes first.
func (c *sshConfig) host(name, user string, port int) (*sshHost, error) {
	name = bare(name)
	h := &sshHost{shown: name, unfollowed: slices.Clone(c.unfollowed)}
	if port > 0 {
		h.port = strconv.Itoa(port)
		h.shown = net.JoinHostPort(name, h.port)
	}
	h.name = strings.NewReplacer("%h", name, "%n", name, "%%", "%").Replace(or(c.get(name, "HostName"), name))
	h.port = or(h.port, c.get(name, "Port"), "22")
	if n, err := strconv.Atoi(h.port); err != nil || n < 1 || n > 65535 {
		return nil, fmt.Errorf("ssh's configuration has the port %q for %s", plain.Short(h.port), plain.Short(name))
	}
	if h.user = or(user, c.get(name, "User")); h.user == "" {
		me, err := currentUser()
		if err != nil {
			return nil, err
		}
		h.user = me
	}
	h.key = c.get(name, "HostKeyAlias")
	h.alias = h.key != ""
	h.agent = c.agent(h, name)
	h.onlyNamed = strings.EqualFold(c.get(name, "IdentitiesOnly"), "yes")
	h.identities = c.identities(h, name)
	h.knownHosts = c.knownHosts(h, name)
	if command := c.get(name, "ProxyCommand"); command != "" && !strings.EqualFold(command, "none") {
		return nil, fmt.Errorf("ssh's configuration has a ProxyCommand for %s, which is not followed; ssh itself follows it, with GIT_SSH_COMMAND=ssh", plain.Short(name))
	}
	if h.jump = c.get(name, "ProxyJump"); strings.EqualFold(h.jump, "none") {
		h.jump = ""
	}
	for _, key := range []string{"CertificateFile", "PKCS11Provider", "SecurityKeyProvider", "KnownHostsCommand", "BindAddress", "BindInterface"} {
		if v := c.get(name, key); v != "" && !strings.EqualFold(v, "none") {
			h.unfollowed = append(h.unfollowed, key+" of ssh's configuration")
		}
	}
	if v := c.get(name, "StrictHostKeyChecking"); slices.Contains([]string{"no", "off", "accept-new"}, strings.ToLower(v)) {
		h.unfollowed = append(h.unfollowed, "StrictHostKeyChecking="+v+" of ssh's configuration")
	}
	return h, nil
}

// currentUser is who runs this.
func currentUser() (string, error) {
	me, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("finding out who is there: %w", err)
	}
	return me.Username, nil
}

// or is the first that is not empty.
func or(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// agent is the socket of the agent for a host.
func (c *sshConfig) agent(h *sshHost, name string) string {
	switch v := c.get(name, "IdentityAgent"); {
	case v == "", v == "SSH_AUTH_SOCK":
		return c.getenv("SSH_AUTH_SOCK")
	case strings.EqualFold(v, "none"):
		return ""
	case strings.HasPrefix(v, "$"):
		return c.getenv(strings.Trim(v[1:], "{}"))
	default:
		return c.path(v, h, name)
	}
}

// identities are the files of keys for a host; where none is named, those that ssh tries.
func (c *sshConfig) identities(h *sshHost, name string) []string {
	var files []string
	for _, f := range c.all(name, "IdentityFile") {
		if !strings.EqualFold(f, "none") {
			files = append(files, c.path(f, h, name))
		}
	}
	if home := c.getenv("HOME"); len(files) == 0 && home != "" {
		for _, kind := range []string{"id_rsa", "id_ecdsa", "id_ed25519"} {
			files = append(files, filepath.Join(home, ".ssh", kind))
		}
	}
	return files
}

// knownHosts are the files of the keys of hosts. SSH_KNOWN_HOSTS stands for all others.
func (c *sshConfig) knownHosts(h *sshHost, name string) []string {
	if list := c.getenv("SSH_KNOWN_HOSTS"); list != "" {
		return filepath.SplitList(list)
	}
	files := strings.Fields(or(c.get(name, "GlobalKnownHostsFile"), "/etc/ssh/ssh_known_hosts"))
	for _, f := range strings.Fields(or(c.get(name, "UserKnownHostsFile"), "~/.ssh/known_hosts")) {
		files = append(files, c.path(f, h, name))
	}
	return slices.DeleteFunc(files, func(f string) bool { return !filepath.IsAbs(f) })
}

// path is a file that the configuration names.
func (c *sshConfig) path(value string, h *sshHost, name string) string {
	home := c.getenv("HOME")
	if rest, ok := strings.CutPrefix(value, "~/"); ok {
		value = filepath.Join(home, rest)
	}
	local, _ := currentUser() // where nobody can tell, it is nobody
	value = strings.NewReplacer("%d", home, "%h", h.name, "%n", name, "%p", h.port, "%r", h.user, "%u", local, "%%", "%").Replace(value)
	if !filepath.IsAbs(value) && home != "" {
		value = filepath.Join(home, ".ssh", value)
	}
	return value
}

// maxJumps bounds the hosts on the way to one.
const maxJumps = 8

// jumps are the hosts on the way to one, in order.
func (c *sshConfig) jumps(to *sshHost) ([]*sshHost, error) {
	var hops []*sshHost
	for at := to; at.jump != ""; {
		var here []*sshHost
		for _, text := range strings.Split(at.jump, ",") {
			u, err := url.Parse("ssh://" + strings.TrimPrefix(strings.TrimSpace(text), "ssh://"))
			if err != nil || u.Hostname() == "" {
				return nil, fmt.Errorf("ssh's configuration has the ProxyJump %q", plain.Short(text))
			}
			port, _ := strconv.Atoi(u.Port()) // 0 is none
			hop, err := c.host(u.Hostname(), u.User.Username(), port)
			if err != nil {
				return nil, err
			}
			here = append(here, hop)
		}
		hops = append(here, hops...)
		if len(hops) > maxJumps {
			return nil, fmt.Errorf("ssh's configuration leads to %s by way of more than %d hosts", plain.Short(to.shown), maxJumps)
		}
		at = here[0] // the others of a list are reached from the one before
	}
	return hops, nil
}
