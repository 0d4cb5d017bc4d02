// Package watch tells when files are saved: [New] watches files and folders with all that
// is in them, and says once what an editor does in several steps.
package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settleTime is how long nothing may change before a save counts as done: editors
// write beside, rename and change modes.
const settleTime = 15 * time.Millisecond

// A Watcher tells when files below its folders are saved.
type Watcher struct {
	fs    *fsnotify.Watcher
	whole map[string]bool // folders, of which everything counts
	named map[string]bool // files that count in other folders
	// Saved has one value for any number of changes.
	Saved <-chan struct{}

	saved chan<- struct{}
}

// New watches files and folders with all that is in them. A path at which nothing is yet is
// that of a file, in a folder that is there.
func New(paths []string) (*Watcher, error) {
	fw, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching files: %w", err)
	}
	saved := make(chan struct{}, 1)
	w := &Watcher{fs: fw, Saved: saved, saved: saved, whole: map[string]bool{}, named: map[string]bool{}}
	for _, p := range paths {
		if err := w.add(p); err != nil {
			w.Close()
			return nil, fmt.Errorf("watching %s: %w", p, err)
		}
	}
	go w.run()
	return w, nil
}

// Close ends the watching.
func (w *Watcher) Close() { _ = w.fs.Close() } // it was only read

// add watches a folder and those in it, or a file.
func (w *Watcher) add(path string) error {
	if real, err := filepath.EvalSymlinks(path); err == nil && real != filepath.Clean(path) {
		if err := w.addFile(path); err != nil { // where the link is
			return err
		}
		path = real
	}
	return filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && p == path {
			return w.addFile(p)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went away in the meantime
		}
		if err != nil {
			return err
		}
		if !d.IsDir() {
			if p == path {
				return w.addFile(p)
			}
			return nil
		}
		if p != path && unwatched(d.Name()) {
			return fs.SkipDir
		}
		w.whole[filepath.Clean(p)] = true
		return w.fs.Add(p)
	})
}

// addFile watches a file through its folder, since many editors replace it.
func (w *Watcher) addFile(path string) error {
	err := w.fs.Add(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a folder that is made later is not waited for
	}
	w.named[filepath.Clean(path)] = true
	return err
}

// counts reports whether a change at a path is one of what is watched.
func (w *Watcher) counts(path string) bool {
	path = filepath.Clean(path)
	return w.named[path] || w.whole[path] || w.whole[filepath.Dir(path)]
}

// unwatched says whether a name is that of something no function is made of:
// what tools and editors leave beside the code.
func unwatched(name string) bool {
	return slices.Contains([]string{".git", ".fnb", "node_modules", "__pycache__", "4913"}, name) ||
		strings.HasSuffix(name, "~") || strings.HasSuffix(name, ".swp") || strings.HasSuffix(name, ".swx") || strings.HasPrefix(name, ".#")
}

func (w *Watcher) run() {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	for {
		select {
		case e, ok := <-w.fs.Events:
			if !ok {
				return
			}
			if e.Op == fsnotify.Chmod || unwatched(filepath.Base(e.Name)) || !w.counts(e.Name) {
				continue
			}
			if info, err := os.Lstat(e.Name); err == nil && info.IsDir() && e.Has(fsnotify.Create) {
				_ = w.add(e.Name) // one that cannot be read fails the build
			}
			timer.Reset(settleTime)
		case _, ok := <-w.fs.Errors:
			if !ok {
				return
			}
			timer.Reset(settleTime) // events were lost: something has changed
		case <-timer.C:
			select {
			case w.saved <- struct{}{}:
			default:
			}
		}
	}
}
