package main

import (
	"fmt"
	"sync"
	"time"

	"fnb/builder/containers"
	"fnb/internal/plain"
	"fnb/pipeline"
	"fnb/schema"
)

// A runner tells what becomes of functions.
type runner struct {
	g   *globals
	o   *runOptions
	p   *shownPipeline
	out sync.Mutex // held while anything is printed

	refused firsts // callbacks

	names []string  // of the command line
	used  usedStack // when the run began
}

// Begins implements [serve.Observer].
func (r *runner) Begins(fn schema.Function) { r.g.noteSecrets(&r.out, fn, &r.o.containerFlags) }

// Logs implements [serve.Observer].
func (r *runner) Logs(req *containers.Request) {
	prefix := req.Name + " | "
	req.Stdout = plain.NewWriter(&r.out, r.g.err, prefix)
	req.Stderr = plain.NewWriter(&r.out, r.g.err, prefix)
}

// Serves implements [serve.Observer].
func (r *runner) Serves(function, url string) error {
	r.out.Lock()
	defer r.out.Unlock()
	if r.g.json {
		served := struct {
			Function string        `json:"function"`
			URL      string        `json:"url"`
			Debugger *debugAddress `json:"debugger,omitempty"`
		}{Function: function, URL: url}
		if d, ok := r.o.address[function]; ok {
			served.Debugger = &d
		}
		return r.g.printJSON(served)
	}
	_, err := fmt.Fprintln(r.g.out, function, url)
	return err
}

// Again implements [serve.Observer].
func (r *runner) Again(function string, took time.Duration) {
	r.g.say(&r.out, function, "serving again after %s", took.Round(time.Millisecond))
}

// Lost implements [serve.Observer].
func (r *runner) Lost(function string, err error, pause time.Duration) {
	r.g.say(&r.out, function, "%s; %s", plain.Line(err.Error()), containers.Again(pause))
}

// DebuggerEnded implements [serve.Observer].
func (r *runner) DebuggerEnded(function string) {
	again := "start fnb run again"
	if r.o.watch {
		again = "save the handler or " + again
	}
	r.g.say(&r.out, function, "its debugger has ended; %s", again)
}

// Unbuilt implements [serve.Observer].
func (r *runner) Unbuilt(err error) { report(r.g.err, err) }

// Failed implements [serve.Observer].
func (r *runner) Failed(err *pipeline.FunctionError) {
	r.out.Lock()
	defer r.out.Unlock()
	show(r.g.err, err)
}
