package main

import (
	"maps"
	"slices"
	"sync"

	"fnb/schema"
)

// A pins is what a run holds names by: what fnb.lock has, and what was looked up
// since. Its methods may be called at once; those who look something up hold looking.
type pins struct {
	looking sync.Mutex // so that each name is looked up once

	mu    sync.Mutex
	file  *schema.Lock    // as it was read
	now   *schema.Lock    // with what was looked up
	asked map[string]bool // images that were looked up in this run
}

// newPins begins with what a lock has.
func newPins(lock *schema.Lock) *pins {
	return &pins{file: lock, now: copyLock(lock), asked: map[string]bool{}}
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

// unasked are those of the images that were not looked up in this run.
func (p *pins) unasked(refs []string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(refs), func(ref string) bool { return p.asked[ref] })
}

// base is the digest of a base image; "" where nothing pins it.
func (p *pins) base(ref string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now.Bases[ref]
}

// setBases notes what looking base images up has found. One that was not found is
// not pinned: the solve says why.
func (p *pins) setBases(asked []string, found map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ref := range asked {
		p.asked[ref] = true
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

// setWatchdog notes the digests of a watchdog that was looked up.
func (p *pins) setWatchdog(ref string, digests map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[ref] = true
	p.now.Watchdogs[ref] = digests
}

// forget drops the pins of these templates; with all, every pin there is.
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
