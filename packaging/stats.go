package packaging

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"fnb/internal/disk"
	"fnb/schema/checksum"
	"fnb/templates/tree"
)

const (
	statHeader = "fnb stats 1"
	// racy is the age that a file must have when it is read for its stamp to be
	// trusted later: on some file systems two changes within this time leave
	// equal stamps.
	racy = 2 * time.Second
	// statLife is how long the cache remembers a file that nobody asks for, in
	// days, and statRefresh how old the note of its last use may become.
	statLife    = 30
	statRefresh = 7
	statLine    = 8 // fields of a line
)

// A StatCache remembers the checksums of files, so that one whose size, times
// and inode are as they were is not read again. A file that was changed less
// than two seconds before it was read is not remembered, as git does it: its
// next change might leave the same stamp. A nil *StatCache remembers nothing.
//
// It is safe for concurrent use. Processes that write one cache at the same
// time lose each other's additions, and nothing else.
type StatCache struct {
	file string
	now  func() time.Time

	mu    sync.Mutex
	known map[string]stat
	dirty bool
}

// A stat is what the cache has of a file.
type stat struct {
	stamp tree.Stamp
	sum   string // SHA-256 in hex
	day   int64  // of the last use, since 1970
}

// OpenStatCache opens the cache for the files below root, which is in the folder
// dir. One that is missing or damaged is empty.
func OpenStatCache(dir, root string) *StatCache {
	name := sha256.Sum256([]byte(root))
	c := &StatCache{file: filepath.Join(dir, hex.EncodeToString(name[:12])), now: time.Now, known: map[string]stat{}}
	data, err := os.ReadFile(c.file)
	if err != nil {
		return c
	}
	known, err := readStats(data)
	if err == nil {
		c.known = known
	}
	return c
}

// readStats reads a cache: lines of fields that a tabulator separates, below a
// header with the checksum of the lines.
func readStats(data []byte) (map[string]stat, error) {
	head, body, _ := bytes.Cut(data, []byte("\n"))
	sum := sha256.Sum256(body)
	if string(head) != statHeader+" "+hex.EncodeToString(sum[:]) {
		return nil, errors.New("the cache of file checksums is damaged")
	}
	known := make(map[string]stat, bytes.Count(body, []byte("\n")))
	for line := range strings.Lines(string(body)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", statLine-1)
		if len(f) != statLine-1 {
			return nil, fmt.Errorf("the cache of file checksums has the line %q", line)
		}
		var n [5]int64
		for i := range n {
			v, err := strconv.ParseInt(f[i+1], 36, 64)
			if err != nil {
				return nil, err
			}
			n[i] = v
		}
		known[f[6]] = stat{sum: f[0], day: n[4], stamp: tree.Stamp{Path: f[6], Size: n[0], Changed: n[1], Status: n[2], Inode: uint64(n[3])}}
	}
	return known, nil
}

// Save writes what is new. Nothing is written when nothing is.
func (c *StatCache) Save() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dirty {
		return nil
	}
	today := c.today()
	var body bytes.Buffer
	for _, path := range slices.Sorted(maps.Keys(c.known)) {
		s := c.known[path]
		if today-s.day > statLife {
			continue
		}
		body.WriteString(s.sum)
		for _, n := range []int64{s.stamp.Size, s.stamp.Changed, s.stamp.Status, int64(s.stamp.Inode), s.day} {
			body.WriteString("\t" + strconv.FormatInt(n, 36))
		}
		body.WriteString("\t" + path + "\n")
	}
	sum := sha256.Sum256(body.Bytes())
	head := statHeader + " " + hex.EncodeToString(sum[:]) + "\n"
	if err := os.MkdirAll(filepath.Dir(c.file), 0o700); err != nil {
		return err
	}
	c.dirty = false
	return disk.ReplaceFile(c.file, append([]byte(head), body.Bytes()...), 0o600)
}

func (c *StatCache) today() int64 { return c.now().Unix() / (24 * 60 * 60) }

// find returns the checksum of a file that has not changed.
func (c *StatCache) find(stamp tree.Stamp) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.known[stamp.Path]
	if !ok || s.stamp != stamp {
		return "", false
	}
	if today := c.today(); today-s.day > statRefresh {
		s.day, c.dirty = today, true
		c.known[stamp.Path] = s
	}
	return s.sum, true
}

// remember notes the checksum of a file that was read at a time.
func (c *StatCache) remember(stamp tree.Stamp, sum string, read time.Time) {
	if strings.ContainsAny(stamp.Path, "\n\r\t") || read.Sub(stamp.Latest()) < racy {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[stamp.Path] = stat{stamp: stamp, sum: sum, day: c.today()}
	c.dirty = true
}

// sums returns the checksums of what is in a tree, sorted by path.
func (c *StatCache) sums(ctx context.Context, view *tree.FS) ([]checksum.FileSum, error) {
	entries := view.Entries()
	out := make([]checksum.FileSum, len(entries))
	eg, ctx := errgroup.WithContext(ctx)
	eg.SetLimit(runtime.NumCPU())
	for i, e := range entries {
		if sum, ok := c.have(e); ok {
			out[i] = sum
			continue
		}
		eg.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			var err error
			out[i], err = c.read(view, e)
			return err
		})
	}
	return out, eg.Wait()
}

// have returns the checksum of an entry that need not be read.
func (c *StatCache) have(e tree.Entry) (checksum.FileSum, bool) {
	stamp, ok := e.Stamp()
	if c == nil || !ok {
		return checksum.FileSum{}, false
	}
	sum, ok := c.find(stamp)
	mode := "100644"
	if e.Mode&0o100 != 0 {
		mode = "100755"
	}
	return checksum.FileSum{Path: e.Path, Mode: mode, Sum: sum}, ok
}

func (c *StatCache) read(view *tree.FS, e tree.Entry) (checksum.FileSum, error) {
	info, err := view.Lstat(e.Path)
	if err != nil {
		return checksum.FileSum{}, err
	}
	var start time.Time
	if c != nil {
		start = c.now()
	}
	sum, err := checksum.SumFile(view, e.Path, fs.FileInfoToDirEntry(info))
	if err != nil {
		return checksum.FileSum{}, fmt.Errorf("checksum: %w", err)
	}
	if stamp, ok := e.Stamp(); ok && c != nil {
		c.remember(stamp, sum.Sum, start)
	}
	return sum, nil
}
