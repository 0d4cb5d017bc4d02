package pipeline

import (
	"maps"
	"time"
)

// A Note is something that a person may want to know of a function.
type Note struct {
	Kind NoteKind
	Text string
}

// A NoteKind says what a note is about, where what to do about it depends on the command;
// "" is anything else.
type NoteKind string

// Kinds of notes.
const (
	NoteCacheType     NoteKind = "cache-type" // the builder has no build cache of the type
	NoteUnexported    NoteKind = "unexported" // nothing was built, so no build cache was written
	NoteOtherWatchdog NoteKind = "watchdog"   // the lock has the watchdog of another fnb
	ReasonNoCache     NoteKind = "no-cache"   // it was built because nobody was to look for an image
	ReasonTest        NoteKind = "tests"      // it was built so that its tests are run
)

// notesOf are notes that only are there to be read.
func notesOf(texts []string) []Note {
	var out []Note
	for _, text := range texts {
		out = append(out, Note{Text: text})
	}
	return out
}

// findings are what a step has to say beside its result.
type findings struct {
	Notes   []Note
	seconds map[string]float64 // by phase
}

func (f *findings) note(kind NoteKind, text string) {
	f.Notes = append(f.Notes, Note{kind, text})
}

// clock measures a phase.
func (f *findings) clock(phase string) (stop func()) {
	start := time.Now()
	if f.seconds == nil {
		f.seconds = map[string]float64{}
	}
	seconds := f.seconds
	return func() { seconds[phase] = time.Since(start).Seconds() }
}

// and adds what a later step has found.
func (f *findings) and(later findings) {
	f.Notes = append(f.Notes, later.Notes...)
	if f.seconds == nil {
		f.seconds = map[string]float64{}
	}
	maps.Copy(f.seconds, later.seconds)
}
