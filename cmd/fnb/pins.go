package main

import (
	"maps"
	"sync"

	"fnb/schema"
)

// A pins has the pins of a run: those of fnb.lock, and those that were looked up
// since. Its methods may be called by several functions at a time; who looks
// something up holds looking.
type pins struct {
	looking sync.Mutex // so that each name is looked up once

	mu    sync.Mutex
	file  *schema.Lock // what fnb.lock has
	now   *schema.Lock // with what was looked up
	asked map[asked]bool
}

// An asked is an image that was looked up in this run.
type asked struct{ kind, ref string }

// newPins begins with what fnb.lock has.
func newPins(lock *schema.Lock) *pins {
	return &pins{file: lock, now: copyLock(lock), asked: map[asked]bool{}}
}

// copyLock is a lock that can be changed while the other stays as it is.
func copyLock(l *schema.Lock) *schema.Lock {
	c := *l
	c.Templates, c.Bases, c.Watchdogs = copyMap(l.Templates), copyMap(l.Bases), copyMap(l.Watchdogs)
	return &c
}

// copyMap is never nil.
func copyMap[V any](m map[string]V) map[string]V {
	c := make(map[string]V, len(m))
	maps.Copy(c, m)
	return c
}

// lock is what is pinned now.
func (p *pins) lock() *schema.Lock {
	p.mu.Lock()
	defer p.mu.Unlock()
	return copyLock(p.now)
}

// changes are the entries in which what is pinned now differs from the file.
func (p *pins) changes() []pinChange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return lockChanges(p.file, p.now)
}

// addTemplate pins a template, and reports whether it was not pinned yet.
func (p *pins) addTemplate(ref string, pin schema.Pin) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.now.Templates[ref]; ok {
		return false
	}
	p.now.Templates[ref] = pin
	return true
}

// wasAsked reports whether an image was looked up in this run, as a base image or as a
// watchdog.
func (p *pins) wasAsked(kind, ref string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[asked{kind, ref}]
}

// base is the digest of a base image; "" where nothing pins it.
func (p *pins) base(ref string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now.Bases[ref]
}

// setBases notes what looking base images up has found. One that was not found is
// not pinned: the solve says why.
func (p *pins) setBases(refs []string, found map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ref := range refs {
		p.asked[asked{pinBase, ref}] = true
		if digest := found[ref]; digest != "" {
			p.now.Bases[ref] = digest
		}
	}
}

// watchdog are the digests of a watchdog by platform; empty where nothing pins it.
func (p *pins) watchdog(ref string) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return copyMap(p.now.Watchdogs[ref])
}

// setWatchdog notes the digests of a watchdog; looked says that they were looked up.
func (p *pins) setWatchdog(ref string, digests map[string]string, looked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if looked {
		p.asked[asked{pinWatchdog, ref}] = true
	}
	p.now.Watchdogs[ref] = copyMap(digests)
}

// forget drops the pins of these templates; with all, every pin.
func (p *pins) forget(templates []string, all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if all {
		clear(p.now.Templates)
		clear(p.now.Bases)
		clear(p.now.Watchdogs)
	}
	for _, ref := range templates {
		delete(p.now.Templates, ref)
	}
}

// write brings the file up to date. Nothing is written where it is.
func (p *pins) write(file string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if maps.Equal(p.file.Templates, p.now.Templates) && maps.Equal(p.file.Bases, p.now.Bases) && maps.EqualFunc(p.file.Watchdogs, p.now.Watchdogs, maps.Equal[map[string]string]) {
		return nil
	}
	if err := p.now.WriteLock(file); err != nil {
		return err
	}
	p.file = copyLock(p.now)
	return nil
}
