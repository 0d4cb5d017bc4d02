package main

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

	"fnb/schema"
)

// quiet is how long nothing may change before a save counts as done: editors
// write beside, rename and change modes.
const quiet = 15 * time.Millisecond

// A watcher tells when files below its folders are saved.
type watcher struct {
	fs    *fsnotify.Watcher
	saved chan struct{} // one value for any number of changes
}

// newWatcher watches files and folders with all that is in them.
func newWatcher(paths []string) (*watcher, error) {
	fw, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching files: %w", err)
	}
	w := &watcher{fs: fw, saved: make(chan struct{}, 1)}
	for _, p := range paths {
		if err := w.add(p); err != nil {
			w.close()
			return nil, fmt.Errorf("watching %s: %w", p, err)
		}
	}
	go w.run()
	return w, nil
}

func (w *watcher) close() { _ = w.fs.Close() } // it was only read

// add watches a folder and those in it. A file is watched through its folder,
// since many editors replace it.
func (w *watcher) add(path string) error {
	if real, err := filepath.EvalSymlinks(path); err == nil && real != filepath.Clean(path) {
		if err := w.fs.Add(filepath.Dir(path)); err != nil { // where the link is
			return err
		}
		path = real
	}
	return filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went away in the meantime
		}
		if err != nil {
			return err
		}
		if !d.IsDir() {
			if p == path {
				return w.fs.Add(filepath.Dir(p))
			}
			return nil
		}
		if p != path && unwatched(d.Name()) {
			return fs.SkipDir
		}
		return w.fs.Add(p)
	})
}

// unwatched says whether a name is that of something no function is made of:
// what tools and editors leave beside the code.
func unwatched(name string) bool {
	return slices.Contains([]string{".git", "node_modules", "__pycache__", "4913"}, name) ||
		strings.HasSuffix(name, "~") || strings.HasSuffix(name, ".swp") || strings.HasSuffix(name, ".swx") || strings.HasPrefix(name, ".#")
}

func (w *watcher) run() {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	for {
		select {
		case e, ok := <-w.fs.Events:
			if !ok {
				return
			}
			if e.Op == fsnotify.Chmod || unwatched(filepath.Base(e.Name)) {
				continue
			}
			if info, err := os.Lstat(e.Name); err == nil && info.IsDir() && e.Has(fsnotify.Create) {
				_ = w.add(e.Name) // one that cannot be read fails the build
			}
			timer.Reset(quiet)
		case _, ok := <-w.fs.Errors:
			if !ok {
				return
			}
			timer.Reset(quiet) // events were lost: something has changed
		case <-timer.C:
			select {
			case w.saved <- struct{}{}:
			default:
			}
		}
	}
}

// sources are the paths that a function is made of, beside what is pinned.
func (p *pipeline) sources(fn schema.Function) []string {
	root := filepath.Dir(p.stack.File)
	at := func(path string) string {
		if filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(root, path)
	}
	paths := []string{at(fn.Handler)}
	for _, c := range slices.Concat(p.stack.Configuration.Copy, p.opts.copies, fn.EnvironmentFile) {
		paths = append(paths, at(c))
	}
	if dir := templateFolder(p.stack, fn); dir != "" {
		paths = append(paths, dir)
	}
	return paths
}
