package debugger

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	adapterDebugpy = "debugpy"
	debugpyRest    = time.Second // within which it has seen that its client has gone
)

// A visit is all connections to one debugger.
type visit struct {
	Target
	life context.Context //nolint:containedctx // until the port leads elsewhere
	end  context.CancelFunc
	port context.Context //nolint:containedctx // of the port

	mu    sync.Mutex // held while nobody may come
	conns atomic.Int64
	heard atomic.Bool // it has listened
	ended bool        // it listened no more when somebody came last
	told  bool        // Ended was called
}

// reach connects to the debugger, which may not listen yet; nil where it never does or no
// longer, where its container has ended, or where the port leads elsewhere by now.
func (v *visit) reach() net.Conn {
	v.mu.Lock()
	defer v.mu.Unlock()
	ctx, cancel := context.WithTimeout(v.life, patience)
	defer cancel()
	var alone time.Time // since when nobody keeps it from listening
	for {
		conn, err := v.Container.DialPort(ctx, v.Port)
		if err == nil {
			v.conns.Add(1)
			v.heard.Store(true)
			v.ended = false
			return conn
		}
		if v.ended {
			return nil
		}
		switch {
		case !v.heard.Load() || v.conns.Load() > 0:
		case alone.IsZero():
			alone = time.Now()
		case time.Since(alone) > between && v.life.Err() == nil:
			v.hasEnded()
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-v.Container.Gone():
			return nil
		case <-time.After(pause):
		}
	}
}

// hasEnded says, once, that the debugger listens no more.
func (v *visit) hasEnded() {
	v.ended = true
	if v.told || v.Ended == nil {
		return
	}
	v.told = true
	v.Ended()
}

// leave says that a connection has ended. With the last one nobody is there who could let the
// function go on.
func (v *visit) leave() {
	v.conns.Add(-1) // before whoever waits in reach is done
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.conns.Load() > 0:
		return
	case v.Adapter == adapterDebugpy: // who comes before it has seen that the last one has gone is refused, or never answered
		select {
		case <-v.life.Done():
		case <-time.After(debugpyRest):
		}
		return
	case v.Adapter != adapterDelve:
		return
	}
	patience := releasePatience
	if v.port.Err() != nil { // the function is about to be stopped, which takes long while it stands
		patience = lastPatience
	}
	// Not its life: the requests of a container that was replaced must end, too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.life), patience)
	defer cancel()
	_ = v.release(ctx) // its container has ended, as it may be
}
