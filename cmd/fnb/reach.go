package main

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/spf13/pflag"

	"fnb/builder/containers"
	"fnb/pipeline"
	"fnb/pipeline/gateway"
	"fnb/pipeline/reach"
	"fnb/schema"
	destinations "fnb/schema/reach"
	"fnb/schema/services"
)

// reachFlag is what functions may connect to.
type reachFlag []string

func (o *reachFlag) addFlag(f *pflag.FlagSet) {
	f.StringArrayVar((*[]string)(o), "reach", nil, "let the function connect to `[NAME[:PORT]=]HOST:PORT` of this machine's network, as NAME:PORT (repeatable)")
}

// fill gives the options what the flag and the stack file name.
func (o reachFlag) fill(c *pipeline.ContainerOptions) error {
	given, err := destinations.ParseAll(o)
	if err != nil {
		return fmt.Errorf("--reach %w", err)
	}
	c.Lead(reach.Routes(given))
	return nil
}

// telling says once of each host that a function looked for in vain.
func (g *globals) telling(p *shownPipeline, mu *sync.Mutex) func(function string, what containers.Unreached) {
	var told firsts
	return func(function string, what containers.Unreached) {
		text := fmt.Sprintf("%s:%d cannot be reached: %v", what.Name, what.Port, what.Err)
		if what.Port == 0 {
			hint := allowing(p, what.Name, 443) // a guess: who looks a name up does not say the port
			if hint == "" {
				return
			}
			text = fmt.Sprintf("tried to reach %s; %s", what.Name, hint)
		}
		if told.first(function+"\x00"+text) && !g.quiet {
			g.say(mu, function, "%s", text)
		}
	}
}

// firsts tell what is new, as long as there is not too much of it. They may be asked by
// several at a time.
type firsts struct {
	mu   sync.Mutex
	seen map[string]bool
}

// maxFirsts is how much is new at most: functions say what it is.
const maxFirsts = 1000

func (f *firsts) first(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen[key] || len(f.seen) >= maxFirsts {
		return false
	}
	if f.seen == nil {
		f.seen = map[string]bool{}
	}
	f.seen[key] = true
	return true
}

// allowing says what lets functions reach a host; "" if its name is none.
func allowing(p *shownPipeline, name string, port int) string {
	if slices.Contains(gateway.Names(), name) {
		return "have a gateway with: fnb run --gateway"
	}
	if slices.ContainsFunc(p.Stack.Services, func(s services.Service) bool { return s.Name == name }) {
		return fmt.Sprintf("let the function use the service with run: {services: [%s]} in the stack file", name)
	}
	if slices.ContainsFunc(p.Stack.Functions, func(fn schema.Function) bool { return fn.Name == name }) {
		return fmt.Sprintf("functions call it through fnb run --gateway, at http://gateway:%d/function/%s", gateway.Port, name)
	}
	if flag := reach.Hint(net.JoinHostPort(name, strconv.Itoa(port))); flag != "" {
		return "allow it with " + flag
	}
	return ""
}
