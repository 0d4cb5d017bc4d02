package rebaseplan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
)

// A State is what became of an image.
type State string

// States.
const (
	Begun  State = "begun"  // its tags are being moved to what it has become
	Done   State = "done"   // its tags name what it has become
	Failed State = "failed" // they name what they did
	Undone State = "undone" // they name again what they did before it was done
)

// An Entry is a line of a journal.
type Entry struct {
	Plan    string   `json:"plan"`  // checksum
	Image   string   `json:"image"` // repository@digest, before
	State   State    `json:"state"`
	Becomes string   `json:"becomes,omitempty"` // the digest that it has now
	Tags    []string `json:"tags,omitempty"`    // those that were moved or made
	Why     string   `json:"why,omitempty"`
}

// A Journal is what was done of a plan, in a file beside it: a line for each image, of which
// the last one holds. It may be used by several goroutines.
type Journal struct {
	plan string
	mu   sync.Mutex
	file *os.File
	last map[string]Entry
}

// OpenJournal opens the journal of a plan's file, and makes it where there is none. A line that was cut off, when
// its writer was killed, counts as none.
func OpenJournal(planFile string, plan *Plan) (*Journal, error) {
	name := planFile + ".journal"
	// Whoever gives away a plan with a link beside it would have fnb write where that leads.
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return nil, &BadError{File: name, Why: "is not a file"}
	}
	raw, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	j := &Journal{plan: plan.Checksum, last: map[string]Entry{}}
	images := map[string]*Image{}
	for n := range plan.Images {
		images[plan.Images[n].Reference()] = &plan.Images[n]
	}
	whole := 0
	for {
		line, _, ok := bytes.Cut(raw[whole:], []byte("\n"))
		if !ok {
			break
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, &BadError{File: name, Why: "is not a journal of fnb rebase"}
		}
		if e.Plan != plan.Checksum {
			return nil, &BadError{File: name, Why: errForeign.Error()}
		}
		if i := images[e.Image]; i == nil || !e.isOf(i) {
			return nil, &BadError{File: name, Why: "was changed: it has an image or a tag that the plan has not"}
		}
		j.last[e.Image] = e
		whole += len(line) + 1
	}
	if j.file, err = os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return nil, err
	}
	if err := errors.Join(j.file.Truncate(int64(whole)), seekEnd(j.file)); err != nil {
		return nil, errors.Join(err, j.file.Close())
	}
	return j, nil
}

// isOf reports whether an entry can be one of an image: it has all tags of the image, with one text behind each, or none.
func (e *Entry) isOf(i *Image) bool {
	if len(e.Tags) == 0 {
		return true
	}
	if len(e.Tags) != len(i.Tags) {
		return false
	}
	suffix := strings.TrimPrefix(e.Tags[0], i.Tags[0])
	for n, tag := range i.Tags {
		if e.Tags[n] != tag+suffix {
			return false
		}
	}
	return true
}

func seekEnd(f *os.File) error {
	_, err := f.Seek(0, 2)
	return err
}

// Last is what was noted last of an image.
func (j *Journal) Last(image string) (Entry, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e, ok := j.last[image]
	return e, ok
}

// Add notes what became of an image. It stays if the process is killed.
func (j *Journal) Add(e Entry) error {
	e.Plan = j.plan
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	j.last[e.Image] = e
	return nil
}

// Close brings the journal to the disk, and closes it.
func (j *Journal) Close() error { return errors.Join(j.file.Sync(), j.file.Close()) }
