package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/moby/buildkit/worker/base"
	bolt "go.etcd.io/bbolt"
)

// settleAfter is how long no client is connected before the databases are
// written to the disk.
const settleAfter = 3 * time.Second

// bootFile tells one start of the machine from another.
const bootFile = "/proc/sys/kernel/random/boot_id"

// A settler spares the builder waiting for the disk at each of the hundred
// small changes that a solve makes to its databases. They are written when the
// builder has nothing to do. As long as they are not, a file in the builder's
// folder says in which start of the machine that was: a builder that is killed
// loses nothing, since the system writes what it has, and one whose machine
// went down begins with an empty cache rather than with half of one.
type settler struct {
	root  string
	boot  []byte
	timer *time.Timer

	mu    sync.Mutex
	dirty bool
	busy  int // begin without end
	over  bool
}

// errOver is why nothing may begin any more.
var errOver = errors.New("the builder is ending")

func newSettler(root string) (*settler, error) {
	boot, err := os.ReadFile(bootFile)
	if err != nil {
		return nil, fmt.Errorf("asking the system for its start: %w", err)
	}
	s := &settler{root: root, boot: boot}
	s.timer = time.AfterFunc(settleAfter, s.settle)
	s.timer.Stop()
	return s, s.recover()
}

// marker is the file that is there while databases are not on the disk.
func (s *settler) marker() string { return filepath.Join(s.root, "unsettled") }

// spare is the marker's file while it marks nothing. It is kept, since on a full disk,
// where somebody wants to prune, there is no room for another.
func (s *settler) spare() string { return filepath.Join(s.root, "settled") }

// mark puts the marker in its place.
func (s *settler) mark() error {
	f, err := os.OpenFile(s.spare(), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(s.boot, 0) // of one length always
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(s.spare(), s.marker()); err != nil {
		return err
	}
	return flush(s.root)
}

// lost is where the state of a builder goes whose machine went down.
func (s *settler) lost() string { return filepath.Join(s.root, "lost") }

// recover puts aside what an earlier start of the machine has left unsettled.
func (s *settler) recover() error {
	boot, err := os.ReadFile(s.marker())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("looking at the builder's state: %w", err)
	case bytes.Equal(boot, s.boot):
		s.dirty = true
		s.timer.Reset(settleAfter)
	default:
		if err := s.putAside(); err != nil {
			return fmt.Errorf("putting aside the builder's state, because the machine went down: %w", err)
		}
	}
	go func() { _ = os.RemoveAll(s.lost()) }() // what stays goes at the next start
	return nil
}

func (s *settler) putAside() error {
	if err := os.MkdirAll(s.lost(), 0o700); err != nil {
		return err
	}
	to, err := os.MkdirTemp(s.lost(), "")
	if err != nil {
		return err
	}
	state, err := s.state()
	if err != nil {
		return err
	}
	for _, path := range state {
		if err := os.Rename(path, filepath.Join(to, filepath.Base(path))); err != nil {
			return err
		}
	}
	return os.Remove(s.marker())
}

// state lists BuildKit's own files and folders.
func (s *settler) state() ([]string, error) {
	var paths []string
	for _, pattern := range []string{"runc-*", "*.db"} {
		found, err := filepath.Glob(filepath.Join(s.root, pattern))
		if err != nil {
			return nil, err
		}
		paths = append(paths, found...)
	}
	return paths, nil
}

// begin notes that the databases are going to change. With an error there is no end.
func (s *settler) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return errOver
	}
	s.timer.Stop()
	if s.dirty {
		s.busy++ // the timer may have fired already
		return nil
	}
	if err := s.mark(); err != nil {
		return err
	}
	s.dirty = true
	s.busy++
	return nil
}

// end is called when what begin announced is done.
func (s *settler) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy--; s.busy == 0 {
		s.timer.Reset(settleAfter)
	}
}

// settle writes the databases to the disk, if nothing changes them.
func (s *settler) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dirty && s.busy == 0 && s.flush() == nil && os.Rename(s.marker(), s.spare()) == nil {
		s.dirty = false
	}
}

// finish has nothing begin any more, and settles when what goes on without a client, such as the
// collection of garbage, is done, which it gives a while.
func (s *settler) finish() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	for end := time.Now().Add(settleAfter); time.Now().Before(end) && s.isBusy(); {
		time.Sleep(10 * time.Millisecond)
	}
	s.settle()
}

func (s *settler) isBusy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy > 0
}

func (s *settler) flush() error {
	for _, pattern := range []string{"*.db", "runc-*/*.db", "runc-*/snapshots/*.db"} {
		dbs, err := filepath.Glob(filepath.Join(s.root, pattern))
		if err != nil {
			return err
		}
		for _, db := range dbs {
			if err := flush(db); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush has the system write a file or folder to the disk.
func flush(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// relax has the worker's databases not wait for the disk. Those of the
// snapshotter are told when they are opened.
func relax(opt base.WorkerOpt) error {
	for _, db := range []any{opt.MetadataStore.DB(), opt.ContentMetadata} {
		viewer, ok := db.(interface {
			View(func(*bolt.Tx) error) error
		})
		if !ok {
			return fmt.Errorf("a database of the builder is a %T", db)
		}
		if err := viewer.View(func(tx *bolt.Tx) error {
			tx.DB().NoSync = true
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
