package main

import (
	"fmt"
	"sync"

	"github.com/spf13/pflag"

	"fnb/builder/containers"
	"fnb/pipeline"
	"fnb/pipeline/reach"
	destinations "fnb/schema/reach"
)

// reachFlag is what functions may connect to.
type reachFlag []string

func (o *reachFlag) addFlag(f *pflag.FlagSet) {
	f.StringArrayVar((*[]string)(o), "reach", nil, "let the function connect to `[NAME=]HOST:PORT` of this machine's network, as NAME:PORT (repeatable)")
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
func (g *globals) telling(mu *sync.Mutex) func(function string, what containers.Unreached) {
	var lock sync.Mutex
	told := map[string]bool{}
	return func(function string, what containers.Unreached) {
		text := fmt.Sprintf("%s:%d cannot be reached: %v", what.Name, what.Port, what.Err)
		if what.Port == 0 {
			flag := reach.Hint(what.Name)
			if flag == "" {
				return
			}
			text = fmt.Sprintf("tried to reach %s; allow it with %s", what.Name, flag)
		}
		lock.Lock()
		known := told[function+"\x00"+text]
		told[function+"\x00"+text] = true
		lock.Unlock()
		if !known && !g.quiet {
			g.say(mu, function, "%s", text)
		}
	}
}
