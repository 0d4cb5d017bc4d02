package serve

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"fnb/builder/containers"
	"fnb/pipeline"
	"fnb/pipeline/debugger"
	"fnb/schema"
)

// DebugOptions say how debuggers of functions are reached.
type DebugOptions struct {
	Port int // local port of the first debugger, which those of the others follow; 0 is any, [TemplatePort] what the template says
	// Opened is called once when all ports are taken, before anything is built.
	Opened func([]Debugger) error
}

// TemplatePort is the port that a template's debugger has in the container, or the next one
// that no other function of the run has.
const TemplatePort = -1

// A Debugger is that of one function.
type Debugger struct {
	Function schema.Function
	Debug    schema.Debug // as the template has it
	Address  *net.TCPAddr // where it is reached; it listens while anything is served
	Err      error        // why the function has none, a [*debugger.NoneError]; nil where it has one
}

// endless is how long a function under a debugger may take: it may wait for somebody to
// attach, or stand.
const endless = 7 * 24 * time.Hour

// openDebuggers takes a local port for each function that can be started under a debugger.
func (f *Functions) openDebuggers(ctx context.Context) error {
	var all []Debugger
	taken := map[int]bool{}
	var none *pipeline.FunctionError
	for _, s := range f.all {
		d := Debugger{Function: s.job.Function}
		if d.Debug, d.Err = f.p.Debugger(ctx, s.job.Function); d.Err == nil {
			port := f.debugPort(d.Debug, taken)
			l, err := f.listenBeside(ctx, port)
			if p, ok := errors.AsType[*PortError](err); ok {
				p.Debugger = true
			}
			if err != nil {
				return s.job.Failed(err)
			}
			s.debug, s.debugs = debugger.Open(l), d.Debug
			d.Address = s.debug.Address()
		} else if _, ok := errors.AsType[*debugger.NoneError](d.Err); !ok {
			continue // Build says what it is
		} else if none == nil {
			none = s.job.Failed(d.Err)
		}
		all = append(all, d)
	}
	if len(taken) == 0 && none != nil {
		return none
	}
	return f.o.Debug.Opened(all)
}

// debugPort is the local port of the next debugger.
func (f *Functions) debugPort(d schema.Debug, taken map[int]bool) int {
	port := f.o.Debug.Port
	if port == TemplatePort {
		port = d.Port
	}
	for first := port; taken[port]; {
		if port++; first == 0 {
			port = -len(taken) // any, but counted
		}
	}
	taken[port] = true
	return max(port, 0)
}

// lead has the function's debugger be that of a container, and returns how to undo it.
func (f *Functions) lead(ctx context.Context, s *served, c *containers.Container) (back func()) {
	if s.debug == nil {
		return func() {}
	}
	if d, err := f.p.Debugger(ctx, s.job.Function); err == nil { // its template may be another by now
		s.debugs = d
	}
	was := s.target
	s.target = &debugger.Target{
		Container: c, Port: s.debugs.Port, Adapter: strings.ToLower(s.debugs.Adapter),
		Ended: func() { f.obs.DebuggerEnded(s.job.Function.Name) },
	}
	s.debug.Lead(*s.target)
	return func() {
		if s.target = was; was != nil {
			s.debug.Lead(*was)
		}
	}
}

// ready is how long a function may take to listen.
func (f *Functions) ready(s *served) time.Duration {
	if s.debug != nil {
		return endless
	}
	return f.o.Ready
}
