package pins

import (
	"maps"
	"sync"

	"fnb/schema"
)

// A Set has the pins of a run: those of fnb.lock, and those that were looked up
// since. Its methods may be called by several functions at a time; whoever looks
// something up calls [Set.Looking] first.
type Set struct {
	looking sync.Mutex // so that each name is looked up once

	mu    sync.Mutex
	file  *schema.Lock     // what fnb.lock has
	now   *schema.Lock     // with what was looked up
	asked map[lookup]error // why it was not found; nil where it was
}

// A lookup is an image that was looked up in this run.
type lookup struct {
	kind Kind
	ref  string
}

// New begins with what fnb.lock has.
func New(lock *schema.Lock) *Set {
	return &Set{file: lock, now: Copy(lock), asked: map[lookup]error{}}
}

// Copy is a lock that can be changed while the other stays as it is.
func Copy(l *schema.Lock) *schema.Lock {
	c := *l
	c.Templates, c.Bases, c.Watchdogs, c.Services = copyMap(l.Templates), copyMap(l.Bases), copyMap(l.Watchdogs), copyMap(l.Services)
	return &c
}

// copyMap is never nil.
func copyMap[V any](m map[string]V) map[string]V {
	c := make(map[string]V, len(m))
	maps.Copy(c, m)
	return c
}

// Looking has each name looked up once: others wait until done is called.
func (p *Set) Looking() (done func()) {
	p.looking.Lock()
	return p.looking.Unlock
}

// File is what fnb.lock has.
func (p *Set) File() *schema.Lock { return p.file }

// Now is what is pinned now.
func (p *Set) Now() *schema.Lock {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Copy(p.now)
}

// Changes are the entries in which what is pinned now differs from the file.
func (p *Set) Changes() []Change {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Diff(p.file, p.now)
}

// AddTemplate pins a template, and reports whether it was not pinned yet.
func (p *Set) AddTemplate(ref string, pin schema.Pin) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.now.Templates[ref]; ok {
		return false
	}
	p.now.Templates[ref] = pin
	return true
}

// WasAsked reports whether an image was looked up in this run, as something of
// this kind.
func (p *Set) WasAsked(kind Kind, ref string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, asked := p.asked[lookup{kind, ref}]
	return asked
}

// Missed is why an image was not found that was looked up in this run; nil where it was, or
// nobody looked.
func (p *Set) Missed(kind Kind, ref string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[lookup{kind, ref}]
}

// Base is the digest of a base image; "" where nothing pins it.
func (p *Set) Base(ref string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now.Bases[ref]
}

// SetBases notes what looking base images up has found, and why it has not found others,
// which are not pinned.
func (p *Set) SetBases(found map[string]string, missed map[string]error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ref, digest := range found {
		p.asked[lookup{Base, ref}] = nil
		p.now.Bases[ref] = digest
	}
	for ref, err := range missed {
		p.asked[lookup{Base, ref}] = err
	}
}

// Service is the digest of a service's image; "" where nothing pins it.
func (p *Set) Service(ref string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now.Services[ref]
}

// SetServices is [Set.SetBases] for the images of services.
func (p *Set) SetServices(found map[string]string, missed map[string]error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for ref, digest := range found {
		p.asked[lookup{Service, ref}] = nil
		p.now.Services[ref] = digest
	}
	for ref, err := range missed {
		p.asked[lookup{Service, ref}] = err
	}
}

// Watchdog are the digests of a watchdog by platform; empty where nothing pins it.
func (p *Set) Watchdog(ref string) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return copyMap(p.now.Watchdogs[ref])
}

// SetWatchdog notes the digests of a watchdog; looked says that they were looked up.
func (p *Set) SetWatchdog(ref string, digests map[string]string, looked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if looked {
		p.asked[lookup{Watchdog, ref}] = nil
	}
	p.now.Watchdogs[ref] = copyMap(digests)
}

// MissWatchdog notes why a watchdog was not found.
func (p *Set) MissWatchdog(ref string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[lookup{Watchdog, ref}] = err
}

// Forget drops the pins of these templates; with all, every pin.
func (p *Set) Forget(templates []string, all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if all {
		clear(p.now.Templates)
		clear(p.now.Bases)
		clear(p.now.Watchdogs)
		clear(p.now.Services)
	}
	for _, ref := range templates {
		delete(p.now.Templates, ref)
	}
}

// Write brings the file up to date. Nothing is written where it is.
func (p *Set) Write(file string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if maps.Equal(p.file.Templates, p.now.Templates) && maps.Equal(p.file.Bases, p.now.Bases) && maps.Equal(p.file.Services, p.now.Services) && maps.EqualFunc(p.file.Watchdogs, p.now.Watchdogs, maps.Equal[map[string]string]) {
		return nil
	}
	if err := p.now.WriteLock(file); err != nil {
		return err
	}
	p.file = Copy(p.now)
	return nil
}
