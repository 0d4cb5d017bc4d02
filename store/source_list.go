package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fnb/origin"
	"fnb/store/cache"
	"fnb/store/git"
	"fnb/store/records"
)

// A listSource is a list of templates or functions of OpenFaaS's.
type listSource struct{}

func (listSource) is(url string) bool { return strings.HasSuffix(url, ".json") }

func (listSource) parts() (one, many string) { return "entry", "entries" }

func (listSource) addOnce(_ context.Context, _ *Finder, c Store, _ Addition) (Added, string, error) {
	return Added{}, "", fmt.Errorf("store %s: a list of templates cannot be published to", c.Name)
}

// refresh reads a list of OpenFaaS'.
func (listSource) refresh(ctx context.Context, s *Finder, c Store, _ *cache.Index) (*cache.Index, error) {
	data, reach, err := s.readList(ctx, c.URL)
	if err != nil {
		return nil, err
	}
	packs, problems, err := records.ReadList(c.URL, c.Name, data)
	if err != nil {
		return nil, err
	}
	if len(packs) == 0 && len(problems) > 0 {
		first := problems[0]
		return nil, &records.NoStoreError{Name: c.URL, Err: fmt.Errorf("none of its %d entries can be used, the first because of this: %s: %w", len(problems), first.File, first.Err)}
	}
	st := cache.IndexState{URL: c.URL, Commit: records.Sum(data), Checked: time.Now().UTC(), Reach: reach}
	// A list may change as it likes: it pins nothing.
	return s.cache.BuildIndex(st, nil, func(to records.Taker) error {
		for _, p := range problems {
			to.Pass(p.File, p.Err)
		}
		for _, p := range packs {
			if err := to.Add(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// readList gets a list, and how far away it is.
func (s *Finder) readList(ctx context.Context, url string) ([]byte, origin.Reach, error) {
	if path, ok := strings.CutPrefix(url, "file://"); ok || filepath.IsAbs(url) {
		info, err := os.Stat(path)
		if err == nil && !info.Mode().IsRegular() { // opening a pipe would wait for its other end
			err = errors.New("it is not a plain file")
		}
		if err != nil {
			return nil, origin.Machine, &git.UnreachableError{URL: url, Err: err}
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, origin.Machine, &git.UnreachableError{URL: url, Err: err}
		}
		defer func() { _ = f.Close() }() // it was only read from
		data, err := io.ReadAll(io.LimitReader(f, records.MaxListSize))
		return data, origin.Machine, err
	}
	file, err := s.git.Get(ctx, url, "")
	if err != nil {
		return nil, origin.Public, err
	}
	defer func() { _ = file.Body.Close() }() // it was only read from
	data, err := io.ReadAll(io.LimitReader(file.Body, records.MaxListSize))
	return data, file.Reach, err
}
