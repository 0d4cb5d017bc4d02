package gitconfig

import (
	"bytes"
	"cmp"
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

// An SSH is ~/.ssh/config, and then /etc/ssh/ssh_config.
type SSH struct {
	files      []*ssh_config.Config
	getenv     func(string) string
	unfollowed []string
}

// A Host is a host as the configuration has it.
type Host struct {
	Shown      string // as it was written, with its port
	Name, port string // what is connected to
	User       string
	key        string // the name in known_hosts, where that is another one
	Alias      bool   // there is one
	Agent      string // socket
	Identities []string
	OnlyNamed  bool // of the agent's keys
	KnownHosts []string
	jump       string
	Unfollowed []string
}

// Address is what is connected to.
func (h *Host) Address() string { return net.JoinHostPort(h.Name, h.port) }

// Known is what known_hosts has the host as.
func (h *Host) Known() string {
	if h.Alias {
		return net.JoinHostPort(h.key, "22")
	}
	return h.Address()
}

// ReadSSH reads the two files.
func ReadSSH(getenv func(string) string) (*SSH, error) {
	c := &SSH{getenv: getenv}
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
			return nil, fmt.Errorf("reading ssh's configuration: %s: %w (to have ssh itself do it: GIT_SSH_COMMAND=ssh)", file, plain.Error(err))
		}
		c.files = append(c.files, parsed)
	}
	return c, nil
}

// withoutConditions makes of each Match that asks for more than the host's name one that
// no host fits.
func (c *SSH) withoutConditions(data []byte) []byte {
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
func (c *SSH) get(host, key string) string {
	for _, f := range c.files {
		if v, err := f.Get(host, key); err == nil && v != "" {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// all are the values for a key that may be there several times.
func (c *SSH) all(host, key string) []string {
	var all []string
	for _, f := range c.files {
		if values, err := f.GetAll(host, key); err == nil {
			all = append(all, values...)
		}
	}
	return all
}

// Host is what the configuration says of a host. What was asked for with it goes first.
func (c *SSH) Host(name, user string, port int) (*Host, error) {
	h := &Host{Shown: name, Unfollowed: slices.Clone(c.unfollowed)}
	if port > 0 {
		h.port = strconv.Itoa(port)
		h.Shown = net.JoinHostPort(name, h.port)
	}
	h.Name = strings.NewReplacer("%h", name, "%n", name, "%%", "%").Replace(cmp.Or(c.get(name, "HostName"), name))
	h.port = cmp.Or(h.port, c.get(name, "Port"), "22")
	if n, err := strconv.Atoi(h.port); err != nil || n < 1 || n > 65535 {
		return nil, fmt.Errorf("ssh's configuration has the port %q for %s", plain.Short(h.port), plain.Short(name))
	}
	if h.User = cmp.Or(user, c.get(name, "User")); h.User == "" {
		me, err := currentUser()
		if err != nil {
			return nil, err
		}
		h.User = me
	}
	h.key = c.get(name, "HostKeyAlias")
	h.Alias = h.key != ""
	h.Agent = c.agent(h, name)
	h.OnlyNamed = strings.EqualFold(c.get(name, "IdentitiesOnly"), "yes")
	h.Identities = c.identities(h, name)
	h.KnownHosts = c.knownHosts(h, name)
	if command := c.get(name, "ProxyCommand"); command != "" && !strings.EqualFold(command, "none") {
		return nil, fmt.Errorf("ssh's configuration has a ProxyCommand for %s, which is not followed; ssh itself follows it, with GIT_SSH_COMMAND=ssh", plain.Short(name))
	}
	if h.jump = c.get(name, "ProxyJump"); strings.EqualFold(h.jump, "none") {
		h.jump = ""
	}
	for _, key := range []string{"CertificateFile", "PKCS11Provider", "SecurityKeyProvider", "KnownHostsCommand", "BindAddress", "BindInterface"} {
		if v := c.get(name, key); v != "" && !strings.EqualFold(v, "none") {
			h.Unfollowed = append(h.Unfollowed, key+" of ssh's configuration")
		}
	}
	if v := c.get(name, "StrictHostKeyChecking"); slices.Contains([]string{"no", "off", "accept-new"}, strings.ToLower(v)) {
		h.Unfollowed = append(h.Unfollowed, "StrictHostKeyChecking="+v+" of ssh's configuration")
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

// agent is the socket of the agent for a host.
func (c *SSH) agent(h *Host, name string) string {
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
func (c *SSH) identities(h *Host, name string) []string {
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
func (c *SSH) knownHosts(h *Host, name string) []string {
	if list := c.getenv("SSH_KNOWN_HOSTS"); list != "" {
		return filepath.SplitList(list)
	}
	files := strings.Fields(cmp.Or(c.get(name, "GlobalKnownHostsFile"), "/etc/ssh/ssh_known_hosts"))
	for _, f := range strings.Fields(cmp.Or(c.get(name, "UserKnownHostsFile"), "~/.ssh/known_hosts")) {
		files = append(files, c.path(f, h, name))
	}
	return slices.DeleteFunc(files, func(f string) bool { return !filepath.IsAbs(f) })
}

// path is a file that the configuration names.
func (c *SSH) path(value string, h *Host, name string) string {
	home := c.getenv("HOME")
	if rest, ok := strings.CutPrefix(value, "~/"); ok {
		value = filepath.Join(home, rest)
	}
	local, _ := currentUser() // where nobody can tell, it is nobody
	value = strings.NewReplacer("%d", home, "%h", h.Name, "%n", name, "%p", h.port, "%r", h.User, "%u", local, "%%", "%").Replace(value)
	if !filepath.IsAbs(value) && home != "" {
		value = filepath.Join(home, ".ssh", value)
	}
	return value
}

// maxJumps bounds the hosts on the way to one.
const maxJumps = 8

// Jumps are the hosts on the way to one, in order.
func (c *SSH) Jumps(to *Host) ([]*Host, error) {
	var hops []*Host
	for at := to; at.jump != ""; {
		var here []*Host
		for _, text := range strings.Split(at.jump, ",") {
			u, err := url.Parse("ssh://" + strings.TrimPrefix(strings.TrimSpace(text), "ssh://"))
			if err != nil || u.Hostname() == "" {
				return nil, fmt.Errorf("ssh's configuration has the ProxyJump %q", plain.Short(text))
			}
			port, _ := strconv.Atoi(u.Port()) // 0 is none
			hop, err := c.Host(u.Hostname(), u.User.Username(), port)
			if err != nil {
				return nil, err
			}
			here = append(here, hop)
		}
		hops = append(here, hops...)
		if len(hops) > maxJumps {
			return nil, fmt.Errorf("ssh's configuration leads to %s by way of more than %d hosts", plain.Short(to.Shown), maxJumps)
		}
		at = here[0] // the others of a list are reached from the one before
	}
	return hops, nil
}
