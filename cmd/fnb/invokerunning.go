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

// noteRunning says which of the flags, that say how a function is built and started, one that runs already does not go by.
func (g *globals) noteRunning(name string, flags *pflag.FlagSet) {
	var unused []string
	for _, flag := range []string{"env", "secret", "reach", "build-arg", "build-option", "platform"} {
		if flags.Changed(flag) {
			unused = append(unused, "--"+flag)
		}
	}
	if len(unused) > 0 && !g.quiet {
		g.say(new(sync.Mutex), name, "note: fnb run has started it, without %s; to use that here, end the run", strings.Join(unused, " and "))
	}
}
