// Package history remembers what images were made of ([Folder.Write], [Folder.Read]), so
// that the next build can say what changed, and which tests have passed.
package history

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"fnb/internal/disk"
	"fnb/packaging"
)

// A Folder has what the last build of each reference was made of. "" is none: it
// remembers nothing.
type Folder string

// An Entry is what an image was made of.
type Entry struct {
	Input  string           `json:"input"` // the input digest
	Digest string           `json:"digest"`
	Inputs packaging.Inputs `json:"inputs"`
}

// place is the file of a reference's entry with an input digest. There is one
// for each reference; the input digest in its name spares the reading.
func (f Folder) place(ref, input string) (folder, file string) {
	sum := sha256.Sum256([]byte(ref))
	folder = filepath.Join(string(f), hex.EncodeToString(sum[:12]))
	return folder, filepath.Join(folder, packaging.InputTag(input))
}

// Write keeps what an image was made of, unless that is known.
func (f Folder) Write(ref string, e Entry) error {
	if f == "" {
		return nil
	}
	folder, file := f.place(ref, e.Input)
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	old, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := f.replace(file, e); err != nil {
		return err
	}
	for _, o := range old {
		err = errors.Join(err, os.Remove(o))
	}
	return err
}

// replace writes a file in one step. It is brought to the disk as any other: half an entry
// would not be read, and since it is there never be written again.
func (f Folder) replace(file string, e Entry) error {
	tmp, err := os.CreateTemp(string(f), disk.Temporary+"*")
	if err != nil {
		return err
	}
	// An entry is mostly short: setting up a compressor with a window would take
	// longer than all the rest.
	w, err := gzip.NewWriterLevel(tmp, gzip.StatelessCompression)
	if err == nil {
		err = errors.Join(json.NewEncoder(w).Encode(e), w.Close())
	}
	if err == nil {
		err = disk.Commit(tmp, file)
	}
	if err != nil {
		return errors.Join(err, disk.Discard(tmp))
	}
	return nil
}

// Read returns what the last build of a reference was made of; false where that
// is not known.
func (f Folder) Read(ref string) (Entry, bool) {
	folder, _ := f.place(ref, "sha256:"+hex.EncodeToString(make([]byte, sha256.Size)))
	files, err := filepath.Glob(filepath.Join(folder, "fnb-in-*"))
	if err != nil || len(files) != 1 {
		return Entry{}, false
	}
	file, err := os.Open(files[0])
	if err != nil {
		return Entry{}, false
	}
	defer func() { _ = file.Close() }() // it was only read from
	z, err := gzip.NewReader(file)
	if err != nil {
		return Entry{}, false
	}
	var e Entry
	return e, json.NewDecoder(z).Decode(&e) == nil
}

// testedFile says that the tests of inputs have passed in a stage. It goes when
// the reference has another entry.
func (f Folder) testedFile(ref, input, stage string) string {
	folder, _ := f.place(ref, input)
	sum := sha256.Sum256([]byte(input + "\x00" + stage))
	return filepath.Join(folder, "tested-"+hex.EncodeToString(sum[:]))
}

// Tested reports whether the tests of equal inputs have passed here before: a
// builder would not run them again either, but take them from its cache.
func (f Folder) Tested(ref, input, stage string) bool {
	_, err := os.Stat(f.testedFile(ref, input, stage))
	return f != "" && err == nil
}

// Passed keeps that the tests of inputs have passed in a stage. Where that fails they
// are run again.
func (f Folder) Passed(ref, input, stage string) {
	if f != "" {
		_ = os.WriteFile(f.testedFile(ref, input, stage), nil, 0o600) // else they are run again
	}
}

// maxSigned is how many signatures of a key in a repository are remembered.
const maxSigned = 100

// signedFile has the digests of the images that a key has signed in a repository, a line for each.
func (f Folder) signedFile(repository, key string) string {
	sum := sha256.Sum256([]byte(repository + "\x00" + key))
	return filepath.Join(string(f), "signed-"+hex.EncodeToString(sum[:12]))
}

func (f Folder) signed(repository, key string) []string {
	if f == "" {
		return nil
	}
	data, err := os.ReadFile(f.signedFile(repository, key))
	if err != nil {
		return nil // nothing is remembered
	}
	return strings.Fields(string(data))
}

// Signed reports whether this machine has had a key sign the image of a digest in a repository.
func (f Folder) Signed(repository, digest, key string) bool {
	return slices.Contains(f.signed(repository, key), digest)
}

// Sign keeps that a key has signed an image. Where that fails, or is forgotten, its registry is asked
// the next time: so nobody waits for the disk.
func (f Folder) Sign(repository, digest, key string) {
	if f == "" || os.MkdirAll(string(f), 0o700) != nil {
		return
	}
	file := f.signedFile(repository, key)
	if all := f.signed(repository, key); len(all) >= 2*maxSigned {
		_ = disk.ReplaceFile(file, []byte(strings.Join(all[len(all)-maxSigned:], "\n")+"\n"), 0o600) // see above
	}
	w, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	_, _ = w.WriteString(digest + "\n") // see above
	_ = w.Close()
}
