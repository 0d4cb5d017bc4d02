package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"fnb/internal/disk"
	"fnb/schema"
)

// An OnDemand is the builder of a run. It is connected to, and where it is the managed one
// started, when somebody first needs it. It is safe for concurrent use.
type OnDemand struct {
	// Lost is called when no builder can be reached; nil is nobody. It is set before the
	// first use.
	Lost func()

	choice Choice
	memory string // folder of what is known of builders between runs

	mu     sync.Mutex
	native string // the platform that was remembered, and taken for granted; "" where none was
	client Builder
	failed error
}

// NewOnDemand returns a builder that nobody has connected to. Memory is a folder for what
// is known of builders between runs.
func NewOnDemand(c Choice, memory string) *OnDemand { return &OnDemand{choice: c, memory: memory} }

// A PlatformChangedError says that a builder makes images for another platform than it
// was known to.
type PlatformChangedError struct {
	Address  string
	Was, Now string
}

func (e *PlatformChangedError) Error() string {
	return fmt.Sprintf("the builder at %s made images for %s, and makes them for %s now", e.Address, e.Was, e.Now)
}

// Use has a builder used that somebody has connected to already.
func (l *OnDemand) Use(b Builder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.client = b
}

// InEngine reports whether the builder is a part of a Docker Engine, which can be given what it makes.
func (l *OnDemand) InEngine() bool {
	named, _, err := l.choice.options()
	switch {
	case err != nil || len(named) > 1: // what is wrong is said by who connects
		return false
	case len(named) == 1:
		return strings.HasPrefix(named[0].Address, "docker://")
	}
	return l.choice.Managed == nil && strings.HasPrefix(running(usualSockets()), "docker://")
}

// Get connects to the builder, once. An error is the same for all who ask.
func (l *OnDemand) Get(ctx context.Context) (Builder, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil || l.failed != nil {
		return l.client, l.failed
	}
	c, err := Find(ctx, l.choice)
	if err == nil {
		l.client = c
		err = l.recall(ctx)
	}
	if l.failed = err; err != nil && l.Lost != nil {
		l.Lost()
	}
	return l.client, l.failed
}

// recall compares the platform that was taken for granted with the builder's own.
func (l *OnDemand) recall(ctx context.Context) error {
	if l.native == "" {
		return nil
	}
	own, err := l.client.DefaultPlatform(ctx)
	if err != nil {
		return err
	}
	if now, err := schema.ParsePlatform(own.String()); err != nil || now.String() == l.native {
		return err
	}
	address, file := l.remembered()
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return &PlatformChangedError{Address: address, Was: l.native, Now: own.String()}
}

// remembered is the builder's address, "" where none is named, and the file that has its
// platform.
func (l *OnDemand) remembered() (address, file string) {
	address, _ = l.choice.Named()
	sum := sha256.Sum256([]byte(address))
	return address, filepath.Join(l.memory, hex.EncodeToString(sum[:12]))
}

// memoryLasts is how long a builder's platform is taken for granted.
const memoryLasts = 24 * time.Hour

// GiveUp notes that no builder is left, after one was connected to.
func (l *OnDemand) GiveUp(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil && l.Lost != nil {
		l.failed = err
		l.Lost()
	}
}

// Retired are the builders of a fleet that were given up, and whether others are left.
func (l *OnDemand) Retired() (lost []error, left bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, ok := l.client.(*Fleet)
	if !ok {
		return nil, false
	}
	_, err := f.healthy()
	return f.Lost(), err == nil
}

// Err is why the builder could not be reached; nil where nobody tried.
func (l *OnDemand) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// Close ends the connection. It may be called twice.
func (l *OnDemand) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil {
		_ = l.client.Close() // nothing is asked of it any more
		l.client = nil
	}
}

// Platform is the one that the builder makes images for when none is asked for.
// That of a builder on this machine is the machine's; another's is asked for
// once a day.
func (l *OnDemand) Platform(ctx context.Context) (schema.Platform, error) {
	address, file := l.remembered()
	if address == "" {
		return ownPlatform(), nil
	}
	if p, ok := l.recalled(file); ok {
		return p, nil
	}
	c, err := l.Get(ctx)
	if err != nil {
		return schema.Platform{}, err
	}
	p, err := c.DefaultPlatform(ctx)
	if err != nil {
		return p, err
	}
	// What cannot be remembered is asked for again.
	if os.MkdirAll(l.memory, 0o700) == nil {
		_ = disk.ReplaceFile(file, []byte(p.String()+"\n"), 0o600)
	}
	return p, nil
}

// recalled is the platform that a file remembers. Where the builder is connected to it
// is asked instead.
func (l *OnDemand) recalled(file string) (schema.Platform, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if info, err := os.Stat(file); err != nil || time.Since(info.ModTime()) > memoryLasts || l.client != nil && l.native == "" {
		return schema.Platform{}, false
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return schema.Platform{}, false
	}
	p, err := schema.ParsePlatform(strings.TrimSpace(string(text)))
	if err != nil {
		return schema.Platform{}, false
	}
	l.native = p.String()
	return p, true
}

// ownPlatform is this machine's, as a Linux image would name it.
func ownPlatform() schema.Platform {
	p := schema.Platform{OS: "linux", Architecture: runtime.GOARCH}
	if p.Architecture == "arm" {
		p.Variant = "v7"
	}
	return p
}
