package osv

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"fnb/internal/disk"
)

// indexFormat begins each index. Whoever changes what is in one changes it.
const indexFormat = "fnb osv index 1\n"

const (
	keySize   = 16
	entrySize = keySize + 8 + 4 + 4 + 4 + 1
)

// A header says which archive an index is of.
type header struct {
	Size    int64  `json:"size"`
	Time    int64  `json:"time"` // of the archive's last change, in nanoseconds
	Digest  string `json:"digest"`
	Records int    `json:"records"`
	Newest  string `json:"newest"` // change of a record
}

// An index knows where in an archive the records about each package lie.
type index struct {
	header
	entries []byte // sorted, each of entrySize
}

// key stands for a package in an index.
func key(ecosystem, name string) [keySize]byte {
	sum := sha256.Sum256([]byte(ecosystem + "\x00" + name))
	return [keySize]byte(sum[:])
}

// places are where the records about a package lie.
func (x *index) places(ecosystem, name string) []place {
	k := key(ecosystem, name)
	n := len(x.entries) / entrySize
	at := func(i int) []byte { return x.entries[i*entrySize : (i+1)*entrySize] }
	var out []place
	for i := sort.Search(n, func(i int) bool { return bytes.Compare(at(i)[:keySize], k[:]) >= 0 }); i < n && bytes.Equal(at(i)[:keySize], k[:]); i++ {
		e := at(i)[keySize:]
		out = append(out, place{
			offset: int64(binary.BigEndian.Uint64(e)), packed: binary.BigEndian.Uint32(e[8:]), //nolint:gosec // as it was written
			size: binary.BigEndian.Uint32(e[12:]), crc: binary.BigEndian.Uint32(e[16:]), stored: e[20] == 1,
		})
	}
	return out
}

// appendEntry adds where a record about a package lies.
func appendEntry(entries []byte, k [keySize]byte, p place) []byte {
	entries = append(entries, k[:]...)
	entries = binary.BigEndian.AppendUint64(entries, uint64(p.offset)) //nolint:gosec // it is in a file
	entries = binary.BigEndian.AppendUint32(entries, p.packed)
	entries = binary.BigEndian.AppendUint32(entries, p.size)
	entries = binary.BigEndian.AppendUint32(entries, p.crc)
	if p.stored {
		return append(entries, 1)
	}
	return append(entries, 0)
}

// makeIndex reads a whole archive.
func makeIndex(ctx context.Context, f *os.File, ecosystem string) (*index, error) {
	x := &index{}
	err := scan(ctx, f, func(b brief, p place) error {
		x.Records++
		x.Newest = max(x.Newest, b.Modified)
		if b.Withdrawn != "" {
			return nil
		}
		seen := map[named]bool{}
		for _, a := range b.Affected {
			name := Package{Ecosystem: a.Package.Ecosystem, Name: a.Package.Name}.normal().Name
			n := named{a.Package.Ecosystem, name}
			if base(n.Ecosystem) != ecosystem || seen[n] {
				continue
			}
			seen[n] = true
			if len(name) > maxName || strings.ContainsRune(name, 0) {
				return fmt.Errorf("it is about a package whose name has %d bytes, or a zero byte", len(name))
			}
			x.entries = appendEntry(x.entries, key(n.Ecosystem, n.Name), p)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	sort.Sort(byKey(x.entries))
	return x, nil
}

// byKey sorts entries where they are, by package and then by place.
type byKey []byte

func (b byKey) Len() int           { return len(b) / entrySize }
func (b byKey) at(i int) []byte    { return b[i*entrySize : (i+1)*entrySize] }
func (b byKey) Less(i, j int) bool { return bytes.Compare(b.at(i), b.at(j)) < 0 }
func (b byKey) Swap(i, j int) {
	var e [entrySize]byte
	copy(e[:], b.at(i))
	copy(b.at(i), b.at(j))
	copy(b.at(j), e[:])
}

// encode writes an index down, with its checksum at the end.
func (x *index) encode() ([]byte, error) {
	head, err := json.Marshal(x.header)
	if err != nil {
		return nil, err
	}
	out := slices.Concat([]byte(indexFormat), head, []byte("\n"), x.entries)
	sum := sha256.Sum256(out)
	return append(out, sum[:]...), nil
}

var errIndex = errors.New("it is not an index")

// decodeIndex reads what encode wrote.
func decodeIndex(data []byte) (*index, error) {
	rest, ok := bytes.CutPrefix(data, []byte(indexFormat))
	if !ok || len(rest) < sha256.Size {
		return nil, errIndex
	}
	body := data[:len(data)-sha256.Size]
	if sha256.Sum256(body) != [sha256.Size]byte(data[len(body):]) {
		return nil, errIndex
	}
	head, entries, ok := bytes.Cut(rest[:len(rest)-sha256.Size], []byte("\n"))
	x := &index{entries: entries}
	if !ok || len(entries)%entrySize != 0 || json.Unmarshal(head, &x.header) != nil {
		return nil, errIndex
	}
	return x, nil
}

// digest is the SHA-256 of a file.
func digest(f *os.File) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, maxArchive)); err != nil {
		return "", fmt.Errorf("reading %s: %w", f.Name(), err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// indexFile is where the index of an archive is kept; its folder is made.
func indexFile(archive, ecosystem, cache string) (string, error) {
	path, err := filepath.Abs(archive)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(path + "\x00" + ecosystem))
	return filepath.Join(cache, hex.EncodeToString(sum[:16])+".index"), os.MkdirAll(cache, 0o700)
}

// indexOf is the index of an archive: the one in the cache, or a new one, which is put
// there. Told is called before an archive is read whole.
func indexOf(ctx context.Context, f *os.File, ecosystem, cache string, told func(file string, size int64)) (*index, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	file, err := indexFile(f.Name(), ecosystem, cache)
	if err != nil {
		return nil, err
	}
	unlock, err := disk.Lock(ctx, file+".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	if data, err := os.ReadFile(file); err == nil { //nolint:gosec // a name of its own in the cache
		x, err := decodeIndex(data)
		if err == nil && x.Size == info.Size() && x.Time == info.ModTime().UnixNano() {
			return x, nil
		}
		if err == nil && x.Size == info.Size() { // it may have been copied, or fetched again
			sha, err := digest(f)
			if err != nil {
				return nil, err
			}
			if sha == x.Digest {
				x.Time = info.ModTime().UnixNano()
				return x, writeIndex(file, x)
			}
		}
	}
	if told != nil {
		told(f.Name(), info.Size())
	}
	x, err := makeIndex(ctx, f, ecosystem)
	if err != nil {
		return nil, err
	}
	x.Size, x.Time = info.Size(), info.ModTime().UnixNano()
	if x.Digest, err = digest(f); err != nil {
		return nil, err
	}
	return x, writeIndex(file, x)
}

func writeIndex(file string, x *index) error {
	data, err := x.encode()
	if err != nil {
		return err
	}
	return disk.ReplaceFile(file, data, 0o600)
}
