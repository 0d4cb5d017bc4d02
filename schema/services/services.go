// Package services defines what a stack file says of services: [Service] is one, and
// [ParseReady] reads when it may be used.
package services

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"fnb/internal/lazyregexp"
)

// A Service is a program that functions need while they run on this machine, such as a
// database: fnb run, invoke and test start its image beside them. It is part of no image.
type Service struct {
	// Name is the service's key in the stack file, and the host that functions know it
	// by; see [ValidateName].
	Name string `yaml:"-" json:"-"`
	// Line is where the service starts in the stack file, from 1.
	Line int `yaml:"-" json:"-"`

	Image           string            `yaml:"image"`                      // reference, pinned in fnb.lock unless it has a digest
	Port            int               `yaml:"port"`                       // TCP port that it listens at, and that functions connect to
	Command         Words             `yaml:"command,omitempty"`          // in place of the image's; its entrypoint stays
	Environment     map[string]string `yaml:"environment,omitempty"`      // over the image's
	EnvironmentFile []string          `yaml:"environment_file,omitempty"` // over both; relative to the stack file
	Ready           Ready             `yaml:"ready,omitempty"`            // when it may be used; the zero value is that its port takes connections
	Timeout         Duration          `yaml:"timeout,omitempty"`          // how long it may take to be ready; 0 is DefaultTimeout
	Keep            bool              `yaml:"keep,omitempty"`             // keep its data from one run to the next
	Data            string            `yaml:"data,omitempty"`             // folder of the data that is kept; "" is the volumes of the image
}

// DefaultTimeout is how long a service may take to be ready.
const DefaultTimeout = time.Minute

// Words are a command: a text whose words are separated by spaces, or a list.
type Words []string

// A Duration is a time such as 90s or 2m.
type Duration time.Duration

// A Ready says how a service shows that it may be used.
type Ready struct {
	Kind    Kind
	Text    string // the path and query of HTTP, the text of Log
	Port    int    // of HTTP; 0 is the service's
	Command Words  // of Command
}

// A Kind is a way to find out that a service may be used.
type Kind string

// Ways to find out that a service may be used.
const (
	TCP     Kind = "tcp"     // its port takes connections; "" is the same
	HTTP    Kind = "http"    // it answers a GET with a status under 400
	Log     Kind = "log"     // a line of its log has a text
	Command Kind = "command" // a command in its container ends with 0
)

// String is r as a stack file has it on one line.
func (r Ready) String() string {
	switch r.Kind {
	case HTTP:
		if r.Port != 0 {
			return fmt.Sprintf("http :%d%s", r.Port, r.Text)
		}
		return "http " + r.Text
	case Log:
		return "log " + r.Text
	case Command:
		return "command " + strings.Join(r.Command, " ")
	}
	return "tcp"
}

// ValidateName returns an error if name cannot name a service. It is the name of a
// host, as that of a function is, and none that functions know already.
func ValidateName(name string) error {
	switch {
	case name == "":
		return errors.New("a service's name cannot be empty")
	case len(name) > 63:
		return fmt.Errorf("service name %q is longer than 63 characters", name)
	case !hostName.MatchString(name):
		return fmt.Errorf("%q is not a service's name: use a-z, 0-9 and -, with a letter or digit first and last", name)
	case name == "gateway", name == "localhost":
		return fmt.Errorf("the name %q is reserved: functions know another host by it", name)
	case !strings.ContainsFunc(name, func(r rune) bool { return r > '9' }):
		return fmt.Errorf("%q is not a service's name: without a letter it would be an address", name)
	}
	return nil
}

var (
	hostName  = lazyregexp.New(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	readyPath = lazyregexp.New(`^(?::([0-9]{1,5}))?(/[!-~]*)$`)
	fileNames = lazyregexp.New(`^(/[^/\x00]+)+/?$`)
)

// parseReady reads a readiness of its first word and the words or the text behind it.
func parseReady(kind, rest string, words Words) (Ready, error) {
	r := Ready{Kind: Kind(kind)}
	switch r.Kind {
	case TCP:
		if rest != "" {
			return r, fmt.Errorf("tcp stands alone: leave out %q", rest)
		}
	case HTTP:
		m := readyPath.FindStringSubmatch(rest)
		if m == nil {
			return r, fmt.Errorf("%q is not a path such as /healthz, with :PORT before it if it is another port", rest)
		}
		if r.Text = m[2]; m[1] != "" {
			port, err := ParsePort(m[1])
			if err != nil {
				return r, err
			}
			r.Port = port
		}
	case Log:
		if r.Text = rest; rest == "" {
			return r, errors.New("log needs a text that a line of the log has")
		}
	case Command:
		if r.Command = words; len(words) == 0 {
			return r, errors.New("command needs a command, such as: command pg_isready")
		}
	default:
		return r, fmt.Errorf("%q is not one of tcp, http PATH, log TEXT, command ARGS…", kind)
	}
	return r, nil
}

// ParsePort reads a port.
func ParsePort(s string) (int, error) {
	port, err := strconv.Atoi(s)
	if err != nil || port < 1 || port > 65535 {
		return 0, fmt.Errorf("%q is not a port from 1 to 65535", s)
	}
	return port, nil
}

// ParseReady reads a readiness that is a text.
func ParseReady(s string) (Ready, error) {
	kind, rest, _ := strings.Cut(s, " ")
	rest = strings.TrimSpace(rest)
	var words Words
	if Kind(kind) == Command {
		var err error
		if words, err = ParseWords(rest); err != nil {
			return Ready{}, err
		}
	}
	return parseReady(kind, rest, words)
}

// ReadyOf reads a readiness that is a list of words.
func ReadyOf(words Words) (Ready, error) {
	return parseReady(words[0], strings.Join(words[1:], " "), words[1:])
}

// ParseWords cuts a text into its words. What a shell would do with it nobody does here.
func ParseWords(s string) (Words, error) {
	if strings.ContainsAny(s, `"'\`) {
		return nil, errors.New("a text with quotes is not taken apart; write the words as a list")
	}
	return strings.Fields(s), nil
}

// ParseTimeout reads a time.
func ParseTimeout(s string) (Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a time such as 90s or 2m", s)
	}
	return Duration(d), nil
}

// ValidateFolder returns an error unless a text is the absolute path of a folder.
func ValidateFolder(s string) error {
	if !fileNames.MatchString(s) || path.Clean(s) != strings.TrimSuffix(s, "/") {
		return fmt.Errorf("%q is not an absolute path of a folder in the image", s)
	}
	return nil
}
