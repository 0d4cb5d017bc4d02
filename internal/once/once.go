// Package once has things made once that several want at the same time: a [Map].
package once

import (
	"context"
	"sync"
)

// A Map has a value for each key, which whoever asks for it first makes. The zero value is ready for use, and it is
// safe for concurrent use.
type Map[K comparable, V any] struct {
	mu    sync.Mutex
	known map[K]*entry[V]
}

// An entry is a value that is made, or that somebody makes.
type entry[V any] struct {
	done  chan struct{} // closed when the rest is there
	value V
	err   error
	again bool // whoever wants it makes it for themselves
}

// Get returns the value of a key. Who asks first makes it, and the others wait for that, or until their ctx ends. Why a
// value could not be made is remembered too, unless that is the end of its maker's ctx: then the next one makes it.
func (m *Map[K, V]) Get(ctx context.Context, key K, obtain func() (V, error)) (V, error) {
	for {
		e, first := m.claim(key)
		if first {
			e.value, e.err = obtain()
			m.settle(key, e, ctx.Err() != nil)
			return e.value, e.err
		}
		select {
		case <-e.done:
			if !e.again {
				return e.value, e.err
			}
		case <-ctx.Done():
			return *new(V), ctx.Err()
		}
	}
}

func (m *Map[K, V]) claim(key K) (e *entry[V], first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.known[key]; ok {
		return e, false
	}
	if m.known == nil {
		m.known = map[K]*entry[V]{}
	}
	e = &entry[V]{done: make(chan struct{})}
	m.known[key] = e
	return e, true
}

func (m *Map[K, V]) settle(key K, e *entry[V], ended bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.again = e.err != nil && ended; e.again && m.known[key] == e {
		delete(m.known, key)
	}
	close(e.done)
}

// Forget has the values made again that are asked for from now on.
func (m *Map[K, V]) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known = nil
}

// Made returns the values that are there.
func (m *Map[K, V]) Made() map[K]V {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[K]V{}
	for key, e := range m.known {
		select {
		case <-e.done:
			if e.err == nil {
				all[key] = e.value
			}
		default:
		}
	}
	return all
}
