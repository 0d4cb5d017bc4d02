package osv

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

// Bounds of an archive. OSV's largest, of npm, has 220 MB and 220,000 records.
const (
	maxArchive   = 4 << 30
	maxDirectory = 256 << 20 // bytes of what says where its files are
	maxRecords   = 4_000_000
	maxGrowth    = 128 // times its size, unpacked
)

// A place is where a record lies in an archive.
type place struct {
	offset       int64 // of its bytes
	packed, size uint32
	crc          uint32
	stored       bool // as it is
}

// read reads the record at a place of an archive.
func (p place) read(from io.ReaderAt) ([]byte, error) {
	if p.size > maxRecord || p.packed > maxRecord {
		return nil, fmt.Errorf("it has %d bytes, of at most %d", max(p.size, p.packed), maxRecord)
	}
	data := make([]byte, p.packed)
	_, err := from.ReadAt(data, p.offset)
	if err == nil && !p.stored {
		data, err = inflate(data, p.size)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("it is cut off or damaged: %w", err)
	case len(data) != int(p.size):
		return nil, errors.New("it has another size than its archive says")
	case crc32.ChecksumIEEE(data) != p.crc:
		return nil, errors.New("its checksum is not the one that its archive has")
	}
	return data, nil
}

// inflaters are used again: one has 40 KB, and a record is a twentieth of that.
var inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }} //nolint:gochecknoglobals // holds what all readers share

// inflate unpacks a record; one that is larger than its size is cut off behind the first byte too many.
func inflate(packed []byte, size uint32) ([]byte, error) {
	z := inflaters.Get()
	defer inflaters.Put(z)
	if err := z.(flate.Resetter).Reset(bytes.NewReader(packed), nil); err != nil { //nolint:forcetypeassert // as flate says
		return nil, err
	}
	out := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	_, err := out.ReadFrom(io.LimitReader(z.(io.Reader), int64(size)+1)) //nolint:forcetypeassert // the same
	return out.Bytes(), err
}

// placeOf is where a file of an archive lies, as far as it can be read here.
func placeOf(f *zip.File) (place, error) {
	switch {
	case f.UncompressedSize64 > maxRecord || f.CompressedSize64 > maxRecord:
		return place{}, fmt.Errorf("it has %d bytes, of at most %d", max(f.UncompressedSize64, f.CompressedSize64), maxRecord)
	case f.Method != zip.Deflate && f.Method != zip.Store:
		return place{}, fmt.Errorf("it is packed by method %d, which no database uses", f.Method)
	case f.Flags&1 != 0:
		return place{}, errors.New("it is encrypted")
	}
	offset, err := f.DataOffset()
	if err != nil {
		return place{}, fmt.Errorf("it is cut off or damaged: %w", err)
	}
	return place{offset, uint32(f.CompressedSize64), uint32(f.UncompressedSize64), f.CRC32, f.Method == zip.Store}, nil
}

// A directoryReader refuses to read more of an archive than its directory may have.
type directoryReader struct {
	io.ReaderAt
	left atomic.Int64
}

func (r *directoryReader) ReadAt(p []byte, at int64) (int, error) {
	if r.left.Add(-int64(len(p))) < 0 {
		return 0, fmt.Errorf("its directory has more than %d bytes", maxDirectory)
	}
	return r.ReaderAt.ReadAt(p, at)
}

// files are the records of an archive, in its order.
func files(f *os.File) ([]*zip.File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a plain file")
	}
	if info.Size() > maxArchive {
		return nil, fmt.Errorf("it has %d bytes, of at most %d", info.Size(), int64(maxArchive))
	}
	r := &directoryReader{ReaderAt: f}
	r.left.Store(maxDirectory)
	z, err := zip.NewReader(r, info.Size())
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are not used
		return nil, fmt.Errorf("it is not a whole archive: %w", err)
	}
	r.left.Store(1 << 62)
	var total uint64
	var out []*zip.File
	for _, file := range z.File {
		if !strings.HasSuffix(file.Name, ".json") {
			continue
		}
		if total += file.UncompressedSize64; total > maxGrowth*uint64(info.Size()) {
			return nil, fmt.Errorf("it unpacks to more than %d times its size", maxGrowth)
		}
		out = append(out, file)
	}
	switch {
	case len(out) == 0:
		return nil, errors.New("there is no advisory in it")
	case len(out) > maxRecords:
		return nil, fmt.Errorf("it has %d files, of at most %d", len(out), maxRecords)
	}
	return out, nil
}

// scan reads each record of an archive, several at a time, and hands it to take, one at a
// time.
func scan(ctx context.Context, f *os.File, take func(brief, place) error) error {
	records, err := files(f)
	if err != nil {
		return &BrokenError{File: f.Name(), Err: err}
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		next  atomic.Int64
		first error
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := int(next.Add(1) - 1)
				if i >= len(records) || ctx.Err() != nil {
					return
				}
				b, p, err := briefOf(f, records[i])
				mu.Lock()
				if err == nil && first == nil {
					err = take(b, p)
				}
				if err != nil && first == nil {
					first = &BrokenError{File: f.Name(), Record: records[i].Name, Err: err}
				}
				stop := first != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	wg.Wait()
	if first == nil {
		first = ctx.Err()
	}
	return first
}

func briefOf(f *os.File, file *zip.File) (b brief, p place, err error) {
	if p, err = placeOf(file); err != nil {
		return b, p, err
	}
	data, err := p.read(f)
	if err != nil {
		return b, p, err
	}
	if err := decode(data, &b); err != nil {
		return b, p, err
	}
	return b, p, checkID(b.ID)
}
