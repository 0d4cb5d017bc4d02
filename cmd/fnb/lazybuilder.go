package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"fnb/schema"
)

// A lazyBuilder is the builder of a run. It is connected to, and where it is
// fnb's own started, when somebody first needs it.
type lazyBuilder struct {
	g      *globals
	memory string // folder of what is known of builders between runs
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
	}
	if l.failed = err; err != nil && l.lost != nil {
		l.lost()
	}
	return l.client, l.failed
}

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
// once and then remembered.
func (l *lazyBuilder) platform(ctx context.Context) (schema.Platform, error) {
	cfg, err := readConfig()
	if err != nil {
		return schema.Platform{}, err
	}
	address, _ := l.g.builderAddress(cfg)
	if address == "" {
		return ownPlatform(), nil
	}
	sum := sha256.Sum256([]byte(address))
	file := filepath.Join(l.memory, hex.EncodeToString(sum[:12]))
	if text, err := os.ReadFile(file); err == nil {
		if p, err := schema.ParsePlatform(strings.TrimSpace(string(text))); err == nil {
			return p, nil
		}
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

// ownPlatform is this machine's, as a Linux image would name it.
func ownPlatform() schema.Platform {
	p := schema.Platform{OS: "linux", Architecture: runtime.GOARCH}
	if p.Architecture == "arm" {
		p.Variant = "v7"
	}
	return p
}
