package engine

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"fnb/internal/plain"
)

// usual is where a Docker Engine listens if nothing says otherwise.
const usual = "unix:///var/run/docker.sock"

// A Current is the Docker Engine that docker itself uses.
type Current struct {
	Host string // as docker writes it: unix:///var/run/docker.sock, tcp://host:port, ssh://…
	By   string // what names it: DOCKER_HOST, or docker's context; "" is nothing, and Host the usual socket
}

// Find finds the engine as docker does: by DOCKER_HOST, by the context of DOCKER_CONTEXT or of docker's configuration, or at the
// usual socket. Docker Desktop, Colima and others make a context, and often nothing at the usual socket.
func Find() (Current, error) {
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return Current{host, "DOCKER_HOST"}, nil
	}
	home, _ := os.UserHomeDir() // without one there is no configuration
	dir := cmp.Or(os.Getenv("DOCKER_CONFIG"), filepath.Join(home, ".docker"))
	var config struct{ CurrentContext string }
	if data, err := os.ReadFile(filepath.Join(dir, "config.json")); err == nil {
		_ = json.Unmarshal(data, &config) // who reads credentials says what is wrong with it
	}
	name := cmp.Or(os.Getenv("DOCKER_CONTEXT"), config.CurrentContext, "default")
	if name == "default" {
		return Current{Host: usual}, nil
	}
	sum := sha256.Sum256([]byte(name))
	var meta struct {
		Endpoints struct {
			Docker struct{ Host string } `json:"docker"`
		}
	}
	by := fmt.Sprintf("docker's context %q", name)
	data, err := os.ReadFile(filepath.Join(dir, "contexts", "meta", hex.EncodeToString(sum[:]), "meta.json"))
	if os.IsNotExist(err) {
		return Current{}, fmt.Errorf("%s: %s has no context of that name", by, dir)
	}
	if err == nil {
		err = json.Unmarshal(data, &meta)
	}
	if err != nil {
		return Current{}, fmt.Errorf("%s: %w", by, err)
	}
	return Current{cmp.Or(meta.Endpoints.Docker.Host, usual), by}, nil
}

// Address is where it listens, as [net.Dial] has it. It is not ok if fnb reaches none there.
func (c Current) Address() (network, address string, ok bool) {
	if path, ok := strings.CutPrefix(c.Host, "unix://"); ok {
		return "unix", path, path != ""
	}
	host, ok := strings.CutPrefix(c.Host, "tcp://")
	return "tcp", strings.TrimSuffix(host, "/"), ok && host != ""
}

// Socket is the path of its socket; "" if it listens elsewhere.
func (c Current) Socket() string {
	if network, path, ok := c.Address(); ok && network == "unix" {
		return path
	}
	return ""
}

// String names it in errors.
func (c Current) String() string {
	if c.By == "" {
		return "the Docker Engine"
	}
	return "the Docker Engine of " + c.By
}

// Resolve makes of docker:// alone the address of the engine that docker itself uses. Any other address is what it is.
func Resolve(u *url.URL) (*url.URL, error) {
	if u.Scheme != "docker" || u.Host != "" || u.Path != "" {
		return u, nil
	}
	current, err := Find()
	if err != nil {
		return nil, err
	}
	switch network, address, ok := current.Address(); {
	case ok && network == "unix":
		return &url.URL{Scheme: "docker", Path: address}, nil
	case ok:
		return &url.URL{Scheme: "docker", Host: address}, nil
	}
	return nil, fmt.Errorf("%s is at %s, and fnb reaches one at unix:// or tcp://", current, plain.Line(current.Host))
}
