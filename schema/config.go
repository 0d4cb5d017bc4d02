package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A Config is fnb's settings, which hold for all of a user's projects. Nothing
// in it decides what is in an image.
type Config struct {
	Builder   BuilderConfig   `yaml:"builder,omitempty"`
	Templates TemplatesConfig `yaml:"templates,omitempty"`
}

// A TemplatesConfig says what is kept of templates.
type TemplatesConfig struct {
	Cache int64 `yaml:"cache,omitempty"` // bytes that the cache of templates keeps, written 1GB; 0 is the default
	// OpenFaaS is false where the names of OpenFaaS's template store are not to be found
	// for a stack whose provider is openfaas; nil is true.
	OpenFaaS *bool `yaml:"openfaas,omitempty"`
}

// A BuilderConfig says which builder to use, and how the managed one runs.
type BuilderConfig struct {
	Address    string                    `yaml:"address,omitempty"`    // of another BuildKit, or of several with commas between; "" is the managed builder
	TLS        string                    `yaml:"tls,omitempty"`        // folder with ca.pem, cert.pem and key.pem for tcp:// addresses
	Idle       time.Duration             `yaml:"idle,omitempty"`       // after which the managed builder ends, such as 30m; 0 is the default
	Cache      int64                     `yaml:"cache,omitempty"`      // bytes the managed builder keeps, written 20GB or 512MB; 0 is the default
	Registries map[string]RegistryConfig `yaml:"registries,omitempty"` // by host as images name it, such as docker.io
	Network    string                    `yaml:"network,omitempty"`    // of the managed builder's RUN steps: NetworkOwn or NetworkHost; "" is the first
	Reach      []string                  `yaml:"reach,omitempty"`      // host:port of this machine that steps with a network of their own reach all the same
}

// The networks that RUN steps of the managed builder can have.
const (
	NetworkOwn  = "own"  // without this machine
	NetworkHost = "host" // this machine's, its loopback included
)

// A RegistryConfig says how the managed builder reaches a registry.
type RegistryConfig struct {
	Mirrors  []string `yaml:"mirrors,omitempty"`  // hosts asked first, with an optional path
	HTTP     bool     `yaml:"http,omitempty"`     // plain HTTP
	Insecure bool     `yaml:"insecure,omitempty"` // certificates are not checked
	CA       []string `yaml:"ca,omitempty"`       // files with certificates to trust
}

// ReadConfig reads fnb's settings. A file that does not exist is the zero
// Config; problems are returned as [ParseStack] does.
func ReadConfig(path string) (Config, error) {
	data, err := readFile(path, maxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, nil
	}
	if err != nil {
		return Config{}, err
	}
	var c Config
	r := &reader{file: path}
	v, ok := r.document(data)
	if ok {
		r.object(v, fields{
			"builder": func(v value) { r.object(v, r.builderFields(&c.Builder)) },
			"templates": func(v value) {
				r.object(v, fields{
					"cache": r.str(new(string), func(s string) (err error) {
						c.Templates.Cache, err = parseBytes(s)
						return err
					}),
					"openfaas": func(v value) {
						c.Templates.OpenFaaS = new(bool)
						r.boolean(c.Templates.OpenFaaS)(v)
					},
				})
			},
		})
	}
	if len(r.problems) > 0 {
		return Config{}, joinFieldErrors(r.problems)
	}
	return c, nil
}

func (r *reader) builderFields(b *BuilderConfig) fields {
	return fields{
		"address": r.str(&b.Address, nil),
		"tls":     r.str(&b.TLS, nil),
		"idle": r.str(new(string), func(s string) (err error) {
			if b.Idle, err = time.ParseDuration(s); err != nil || b.Idle <= 0 {
				return fmt.Errorf("%q is not a time such as 30m or 12h", s)
			}
			return nil
		}),
		"cache": r.str(new(string), func(s string) (err error) {
			b.Cache, err = parseBytes(s)
			return err
		}),
		"network": r.str(&b.Network, func(s string) error {
			if s != NetworkOwn && s != NetworkHost {
				return fmt.Errorf("%q is neither %s nor %s", s, NetworkOwn, NetworkHost)
			}
			return nil
		}),
		"reach": r.strs(&b.Reach, func(s string) error {
			_, err := ParseListener(s)
			return err
		}),
		"registries": func(v value) {
			entries, _ := r.entries(v)
			b.Registries = map[string]RegistryConfig{}
			for _, e := range entries {
				var c RegistryConfig
				r.object(e.value, fields{
					"mirrors": r.strs(&c.Mirrors, nil), "http": r.boolean(&c.HTTP),
					"insecure": r.boolean(&c.Insecure), "ca": r.strs(&c.CA, nil),
				})
				b.Registries[e.key] = c
			}
		},
	}
}

// A Listener is an address at which something of this machine listens.
type Listener struct {
	Host string // localhost, or an IP address
	Port uint16
}

// String is the address as a dialer takes it.
func (l Listener) String() string {
	return net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port)))
}

// ParseListener reads localhost:3128, 127.0.0.1:3128 or [::1]:3128. What listens at
// all addresses is at localhost.
func ParseListener(s string) (Listener, error) {
	host, service, err := net.SplitHostPort(s)
	port, perr := strconv.ParseUint(service, 10, 16)
	if err != nil || perr != nil || port == 0 {
		return Listener{}, fmt.Errorf("%q is not an address such as 127.0.0.1:3128", s)
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case err == nil && addr.IsUnspecified():
		host = "localhost"
	case err == nil:
		host = addr.Unmap().WithZone("").String()
	case host != "localhost":
		return Listener{}, fmt.Errorf("%q names a host: write localhost or an IP address", s)
	}
	return Listener{Host: host, Port: uint16(port)}, nil
}

// parseBytes reads a size with a decimal unit: 20GB is 20e9 bytes.
func parseBytes(s string) (int64, error) {
	number := strings.TrimRight(s, "KMGTB")
	unit := s[len(number):]
	factor, ok := map[string]float64{"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !ok || err != nil || !(n*factor >= 1 && n*factor <= 1e18) { // neither is NaN
		return 0, fmt.Errorf("%q is not a size such as 20GB or 512MB", s)
	}
	return int64(n * factor), nil
}
