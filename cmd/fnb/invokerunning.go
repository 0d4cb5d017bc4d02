package main

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"fnb/pipeline/serve"
)

// runningFunction reaches the fnb run of a function; nil where there is none.
func runningFunction(ctx context.Context, stackFile, name string) http.RoundTripper {
	path, err := functionSocket(stackFile, name)
	if err != nil {
		return nil
	}
	return serve.Dial(ctx, path)
}

// startFlags say how a function is built and started.
var startFlags = []string{"env", "secret", "reach", "build-arg", "build-option", "platform"}

// noteRunning says which of the flags a function that runs already does not go by.
func (g *globals) noteRunning(name string, flags *pflag.FlagSet) {
	var unused []string
	for _, flag := range startFlags {
		if flags.Changed(flag) {
			unused = append(unused, "--"+flag)
		}
	}
	if len(unused) > 0 && !g.quiet {
		g.say(new(sync.Mutex), name, "note: fnb run has started it, without %s; to use that here, end the run", strings.Join(unused, " and "))
	}
}
