package main

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

	"fnb/schema"
)

// A lazyBuilder is the builder of a run. It is connected to, and where it is
// fnb's own started, when somebody first needs it.
type lazyBuilder struct {
	g      *globals
	memory string // folder of what is known of builders between runs
	native string // the platform that was remembered, and taken for granted; "" where none was
	lost   func() // called when the builder cannot be reached; nil is nobody

	mu     sync.Mutex
	client solver
	failed error
}

// get connects to the builder, once. An error is the same for all who ask.
func (l *lazyBuilder) get(ctx context.Context) (solver, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil || l.failed != nil {
		return l.client, l.failed
	}
	c, err := l.g.solver(ctx)
	if err == nil {
		l.client = c // an interface: with an error it would hold a nil client
		err = l.recall(ctx)
	}
	if l.failed = err; err != nil && l.lost != nil {
		l.lost()
	}
	return l.client, l.failed
}

// recall compares the platform that was taken for granted with the builder's own.
func (l *lazyBuilder) recall(ctx context.Context) error {
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
	address, file, err := l.remembered()
	if err != nil {
		return err
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return hint(fmt.Errorf("the builder at %s made images for %s, and makes them for %s now", address, l.native, own),
		"build for that with the same command again, or for the other with: --platform "+l.native)
}

// remembered is the builder's address, "" for fnb's own, and the file that has its
// platform.
func (l *lazyBuilder) remembered() (address, file string, err error) {
	cfg, err := readConfig()
	if err != nil {
		return "", "", err
	}
	address, _ = l.g.builderAddress(cfg)
	sum := sha256.Sum256([]byte(address))
	return address, filepath.Join(l.memory, hex.EncodeToString(sum[:12])), nil
}

// memoryLasts is how long a builder's platform is taken for granted.
const memoryLasts = 24 * time.Hour

// giveUp notes that no builder is left, after one was connected to.
func (l *lazyBuilder) giveUp(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil && l.lost != nil {
		l.failed = err
		l.lost()
	}
}

// retired are the builders of a fleet that were given up.
func (l *lazyBuilder) retired() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return lostBuilders(l.client)
}

// err is why the builder could not be reached; nil where nobody tried.
func (l *lazyBuilder) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// close ends the connection. It may be called twice.
func (l *lazyBuilder) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil {
		_ = l.client.Close() // nothing is asked of it any more
		l.client = nil
	}
}

// platform is the one that the builder makes images for when none is asked for.
// That of a builder on this machine is the machine's; another's is asked for
// once a day.
func (l *lazyBuilder) platform(ctx context.Context) (schema.Platform, error) {
	address, file, err := l.remembered()
	if err != nil {
		return schema.Platform{}, err
	}
	if address == "" {
		return ownPlatform(), nil
	}
	if p, ok := l.recalled(file); ok {
		return p, nil
	}
	c, err := l.get(ctx)
	if err != nil {
		return schema.Platform{}, err
	}
	p, err := c.DefaultPlatform(ctx)
	if err != nil {
		return p, err
	}
	// What cannot be remembered is asked for again.
	if os.MkdirAll(l.memory, 0o700) == nil {
		_ = schema.WriteFile(file, []byte(p.String()+"\n"), 0o600)
	}
	return p, nil
}

// recalled is the platform that a file remembers. Where the builder is connected to it
// is asked instead.
func (l *lazyBuilder) recalled(file string) (schema.Platform, bool) {
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
