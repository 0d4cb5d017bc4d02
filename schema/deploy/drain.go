package deploy

import (
	"maps"
	"strconv"
	"strings"
	"time"
)

const (
	// Of the watchdog, where its environment says nothing (docs/watchdog.md).
	usualTimeout = 30 * time.Second
	// changes is how long a cluster is given to tell all of its machines that a pod goes, before the
	// watchdog of the pod takes no more requests.
	changes = 5 * time.Second
	// slack is what is left for a process to end after its last request.
	slack = 10 * time.Second
)

// variable is a variable's value, from the stack or else from the image.
func (f Function) variable(name string) (string, bool) {
	if value, ok := f.Environment[name]; ok {
		return value, true
	}
	if f.Built != nil {
		for _, pair := range f.Built.Environment {
			if key, value, _ := strings.Cut(pair, "="); key == name {
				return value, true
			}
		}
	}
	return "", false
}

// duration is a variable's, as the watchdog reads it. What it would refuse is its own to say.
func (f Function) duration(name string, usual time.Duration) time.Duration {
	value, ok := f.variable(name)
	if !ok {
		return usual
	}
	if n, err := strconv.Atoi(value); err == nil && n >= 0 && n < 1<<30 {
		return time.Duration(n) * time.Second
	}
	if d, err := time.ParseDuration(value); err == nil && d >= 0 {
		return d
	}
	return usual
}

// pauseBeforeStop has the watchdog take requests for a moment after SIGTERM, unless that is said already. It returns for how long.
func (f *Function) pauseBeforeStop() time.Duration { return f.pause(changes) }

// pause has the watchdog take requests for d after SIGTERM, unless that is said already.
func (f *Function) pause(d time.Duration) time.Duration {
	if _, ok := f.variable("healthcheck_interval"); !ok {
		f.Environment = withVariable(f.Environment, "healthcheck_interval", d.String())
	}
	return f.duration("healthcheck_interval", d)
}

// withVariable is an environment with one more variable.
func withVariable(env map[string]string, name, value string) map[string]string {
	out := maps.Clone(env)
	if out == nil {
		out = map[string]string{}
	}
	out[name] = value
	return out
}

// graceful is how long the function may take from SIGTERM to its end: a pause, its last requests, and its process.
func (f Function) graceful(pause time.Duration) time.Duration {
	return pause + f.duration("write_timeout", usualTimeout) + slack
}

// seconds are a duration's, a part of one counted as one.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
