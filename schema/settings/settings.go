// Package settings defines fnb's settings, which hold for all of a user's projects: begin
// with [Read].
package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"fnb/schema/document"
)

// Settings are fnb's settings, which hold for all of a user's projects. Nothing
// in it decides what is in an image.
type Settings struct {
	Builder   Builder   `yaml:"builder,omitempty"`
	Templates Templates `yaml:"templates,omitempty"`
	Sign      Sign      `yaml:"sign,omitempty"`
}

// A Sign says with which keys things are signed.
type Sign struct {
	Records string `yaml:"records,omitempty"` // the key for what gets into stores, as --key names it; "" is none
}

// A Templates says what is kept of templates.
type Templates struct {
	Cache int64 `yaml:"cache,omitempty"` // bytes that the cache of templates keeps, written 1GB; 0 is the default
	// OpenFaaS is false where the names of OpenFaaS's template store are not to be found
	// for a stack whose provider is openfaas; nil is true.
	OpenFaaS *bool `yaml:"openfaas,omitempty"`
}

// A Builder says which builder to use, and how the managed one runs.
type Builder struct {
	Address    string              `yaml:"address,omitempty"`    // of another BuildKit, or of several with commas between; "" is the managed builder
	TLS        string              `yaml:"tls,omitempty"`        // folder with ca.pem, cert.pem and key.pem for tcp:// addresses
	Idle       time.Duration       `yaml:"idle,omitempty"`       // after which the managed builder ends, such as 30m; 0 is the default
	Cache      int64               `yaml:"cache,omitempty"`      // bytes the managed builder keeps, written 20GB or 512MB; 0 is the default
	Registries map[string]Registry `yaml:"registries,omitempty"` // by host as images name it, such as docker.io
	Network    string              `yaml:"network,omitempty"`    // of the managed builder's RUN steps: NetworkOwn or NetworkHost; "" is the first
	Reach      []string            `yaml:"reach,omitempty"`      // host:port of this machine that steps with a network of their own reach all the same
	CA         []string            `yaml:"ca,omitempty"`         // files with certificates that RUN steps trust, of whichever builder
}

// The networks that RUN steps of the managed builder can have.
const (
	NetworkOwn  = "own"  // without this machine
	NetworkHost = "host" // this machine's, its loopback included
)

// A Registry says how the managed builder reaches a registry.
type Registry struct {
	Mirrors  []string `yaml:"mirrors,omitempty"`  // hosts asked first, with an optional path
	HTTP     bool     `yaml:"http,omitempty"`     // plain HTTP
	Insecure bool     `yaml:"insecure,omitempty"` // certificates are not checked
	CA       []string `yaml:"ca,omitempty"`       // files with certificates to trust
}

// Read reads fnb's settings. A file that does not exist is the zero
// Settings; problems are returned all at once, each a [*document.FieldError].
func Read(path string) (Settings, error) {
	data, err := document.ReadFile(path, document.MaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return Settings{}, nil
	}
	if err != nil {
		return Settings{}, err
	}
	var c Settings
	r := &document.Reader{File: path}
	v, ok := r.Document(data)
	if ok {
		r.Object(v, document.Fields{
			"builder": func(v document.Value) { r.Object(v, builderFields(r, &c.Builder)) },
			"sign": func(v document.Value) {
				r.Object(v, document.Fields{"records": r.Str(&c.Sign.Records, nil)})
			},
			"templates": func(v document.Value) {
				r.Object(v, document.Fields{
					"cache": r.Str(new(string), func(s string) (err error) {
						c.Templates.Cache, err = ParseBytes(s)
						return err
					}),
					"openfaas": func(v document.Value) {
						c.Templates.OpenFaaS = new(bool)
						r.Boolean(c.Templates.OpenFaaS)(v)
					},
				})
			},
		})
	}
	if len(r.Problems) > 0 {
		return Settings{}, document.Join(r.Problems)
	}
	return c, nil
}

func builderFields(r *document.Reader, b *Builder) document.Fields {
	return document.Fields{
		"address": r.Str(&b.Address, nil),
		"tls":     r.Str(&b.TLS, nil),
		"idle": r.Str(new(string), func(s string) (err error) {
			if b.Idle, err = time.ParseDuration(s); err != nil || b.Idle <= 0 {
				return fmt.Errorf("%q is not a time such as 30m or 12h", s)
			}
			return nil
		}),
		"cache": r.Str(new(string), func(s string) (err error) {
			b.Cache, err = ParseBytes(s)
			return err
		}),
		"network": r.Str(&b.Network, func(s string) error {
			if s != NetworkOwn && s != NetworkHost {
				return fmt.Errorf("%q is neither %s nor %s", s, NetworkOwn, NetworkHost)
			}
			return nil
		}),
		"reach": r.Strs(&b.Reach, func(s string) error {
			_, err := ParseListener(s)
			return err
		}),
		"ca": r.Strs(&b.CA, nil),
		"registries": func(v document.Value) {
			entries, _ := r.Entries(v)
			b.Registries = map[string]Registry{}
			for _, e := range entries {
				var c Registry
				r.Object(e.Value, document.Fields{
					"mirrors": r.Strs(&c.Mirrors, nil), "http": r.Boolean(&c.HTTP),
					"insecure": r.Boolean(&c.Insecure), "ca": r.Strs(&c.CA, nil),
				})
				b.Registries[e.Key] = c
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

// ParseBytes reads a size with a decimal unit: 20GB is 20e9 bytes.
func ParseBytes(s string) (int64, error) {
	number := strings.TrimRight(s, "KMGTB")
	unit := s[len(number):]
	factor, ok := map[string]float64{"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !ok || err != nil || !(n*factor >= 1 && n*factor <= 1e18) { // neither is NaN
		return 0, fmt.Errorf("%q is not a size such as 20GB or 512MB", s)
	}
	return int64(n * factor), nil
}
