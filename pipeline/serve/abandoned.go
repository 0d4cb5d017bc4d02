package serve

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"fnb/internal/private"
)

// abandonedAge is how old a socket is at which nobody listens any more: a younger one may not
// be listened at yet.
const abandonedAge = time.Minute

// sweep removes the sockets beside path, of whatever functions, that a run has left which was
// killed, and their folders.
func sweep(ctx context.Context, path string) {
	dir := filepath.Dir(filepath.Dir(path))
	if private.CheckSocketFolder(dir) != nil {
		return
	}
	sockets, _ := filepath.Glob(filepath.Join(dir, "*", filepath.Base(path))) // the pattern is a good one
	for _, socket := range sockets {
		info, err := os.Lstat(socket)
		if err != nil || info.Mode().Type() != os.ModeSocket || !private.OwnFile(info) || time.Since(info.ModTime()) < abandonedAge {
			continue
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err == nil {
			_ = conn.Close() // somebody is there
		} else if errors.Is(err, syscall.ECONNREFUSED) {
			_ = os.Remove(socket) // another run may have done it
			_ = os.Remove(filepath.Dir(socket))
		}
	}
}
