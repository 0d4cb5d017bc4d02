package tree

import (
	"bytes"
	"io/fs"
	"time"
)

// Bytes returns the entry of a file that is made here and not read from a disk,
// which the tree is to show at place.
func Bytes(place string, data []byte) Entry {
	return Entry{Path: place, Mode: filePerm, Size: int64(len(data)), from: made(data), name: place, time: time.Unix(0, 0).UTC()}
}

// made is the contents of a file, whatever its name.
type made []byte

// Open implements [fs.FS].
func (m made) Open(name string) (fs.File, error) {
	return &madeFile{Reader: bytes.NewReader(m), info: info{Entry{Path: name, Mode: filePerm, Size: int64(len(m))}}}, nil
}

type madeFile struct {
	*bytes.Reader
	info info
}

func (f *madeFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *madeFile) Close() error               { return nil }
