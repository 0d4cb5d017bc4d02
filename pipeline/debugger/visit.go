package debugger

import (
	"context"
	"net"
	"sync"
	"time"
)

// A visit is all connections to one debugger.
type visit struct {
	Target
	life context.Context //nolint:containedctx // until the port leads elsewhere
	end  context.CancelFunc
	port context.Context //nolint:containedctx // of the port

	mu    sync.Mutex // held while nobody may come
	conns int
}

// reach connects to the debugger, which may not listen yet; nil where it never does, where its
// container has ended, or where the port leads elsewhere by now.
func (v *visit) reach() net.Conn {
	ctx, cancel := context.WithTimeout(v.life, patience)
	defer cancel()
	v.mu.Lock()
	defer v.mu.Unlock()
	for {
		if conn, err := v.Container.DialPort(ctx, v.Port); err == nil {
			v.conns++
			return conn
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

// leave says that a connection has ended. With the last one nobody is there who could let the
// function go on.
func (v *visit) leave() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.conns--; v.conns > 0 || v.Adapter != adapterDelve {
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
