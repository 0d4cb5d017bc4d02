package owners

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"fnb/internal/disk"
	"fnb/schema"
)

// memoryFormat is the format of the file of a [Memory].
const memoryFormat = 1

// A Memory keeps whom this machine has seen as the owners of namespaces. The zero value
// remembers nothing.
type Memory struct {
	File string // "" for none
}

// Remembered is what is known of one store.
type Remembered struct {
	Origin     string           `json:"origin,omitempty"` // what it calls itself
	Namespaces map[string]Known `json:"namespaces"`
}

// Digest tells what is known from anything else; "" where nothing is.
func (r Remembered) Digest() string {
	if len(r.Namespaces) == 0 {
		return ""
	}
	data, err := json.Marshal(r)
	if err != nil {
		return "" // texts, numbers and times are JSON
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

type memoryFile struct {
	V      int                   `json:"v"`
	Stores map[string]Remembered `json:"stores"` // by URL
}

func (m Memory) read() (memoryFile, error) {
	f := memoryFile{V: memoryFormat, Stores: map[string]Remembered{}}
	if m.File == "" {
		return f, nil
	}
	data, err := os.ReadFile(m.File)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err == nil && f.V > memoryFormat {
		err = schema.ErrNewerFormat
	}
	if err != nil {
		return f, fmt.Errorf("reading whom this machine trusts in %s: %w", m.File, err)
	}
	if f.Stores == nil {
		f.Stores = map[string]Remembered{}
	}
	return f, nil
}

// Of is what is known of the store at a URL.
func (m Memory) Of(url string) (Remembered, error) {
	f, err := m.read()
	return f.Stores[url], err
}

// Change replaces what is known of the store at a URL by what change makes of it, while no other
// process does the same.
func (m Memory) Change(ctx context.Context, url string, change func(Remembered) (Remembered, error)) error {
	if m.File == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(m.File), 0o700); err != nil {
		return fmt.Errorf("keeping whom this machine trusts: %w", err)
	}
	unlock, err := disk.Lock(ctx, m.File+".lock")
	if err != nil {
		return fmt.Errorf("keeping whom this machine trusts: %w", err)
	}
	defer unlock()
	f, err := m.read()
	if err != nil {
		return err
	}
	now, err := change(Remembered{Origin: f.Stores[url].Origin, Namespaces: maps.Clone(f.Stores[url].Namespaces)})
	if err != nil {
		return err
	}
	f.Stores[url] = now
	if len(now.Namespaces) == 0 {
		delete(f.Stores, url)
	}
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return disk.ReplaceFile(m.File, append(data, '\n'), 0o600)
}

// Learn keeps what a judge has learned of a store. What another process has learned meanwhile
// stays where it is newer.
func (m Memory) Learn(ctx context.Context, url string, j *Judge) error {
	learned, news := j.Learned()
	if !news {
		return nil
	}
	return m.Change(ctx, url, func(now Remembered) (Remembered, error) {
		if now.Namespaces == nil {
			now.Namespaces = map[string]Known{}
		}
		for ns, k := range learned.Namespaces {
			if has, ok := now.Namespaces[ns]; !ok || has.Number < k.Number {
				now.Namespaces[ns], now.Origin = k, learned.Origin
			}
		}
		return now, nil
	})
}
