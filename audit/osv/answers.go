package osv

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"slices"
	"strings"

	"fnb/internal/disk"
)

// answersFormat begins what was found before. Whoever changes which records are about a version changes it, also by
// another version of the library that compares versions.
const answersFormat = "fnb osv answers 1\n"

// maxAnswers is how many are kept of an archive; behind that they begin anew.
const maxAnswers = 500_000

// answers are which of the records about a package are about a version of it, for the versions that were asked for before: the
// others need not be read again. They are of one archive.
type answers struct {
	file    string // where they are kept
	archive string // digest
	known   map[[keySize]byte][]uint16
	more    bool // than the file has
}

// readAnswers reads what was found before in the archive of a digest; that is nothing where the file is missing or damaged, or is of another
// archive.
func readAnswers(file, archive string) *answers {
	a := &answers{file: file, archive: archive, known: map[[keySize]byte][]uint16{}}
	data, err := os.ReadFile(file) //nolint:gosec // a name of its own in the cache
	if err != nil || len(data) < sha256.Size {
		return a
	}
	body := data[:len(data)-sha256.Size]
	rest, ok := bytes.CutPrefix(body, []byte(answersFormat+indexFormat+archive+"\n"))
	if !ok || sha256.Sum256(body) != [sha256.Size]byte(data[len(body):]) {
		return a
	}
	for len(rest) >= keySize+2 {
		n := int(binary.BigEndian.Uint16(rest[keySize:]))
		if len(rest) < keySize+2+2*n {
			break
		}
		hits := make([]uint16, n)
		for i := range hits {
			hits[i] = binary.BigEndian.Uint16(rest[keySize+2+2*i:])
		}
		a.known[[keySize]byte(rest)] = hits
		rest = rest[keySize+2+2*n:]
	}
	return a
}

// of are those of the places of a package whose records are about its version; false where that is not known.
func (a *answers) of(p Package, all []place) ([]place, bool) {
	hits, ok := a.known[answerKey(p)]
	if !ok {
		return nil, false
	}
	var out []place
	for _, i := range hits {
		if int(i) >= len(all) {
			return nil, false
		}
		out = append(out, all[i])
	}
	return out, true
}

// keep keeps which of the records about a package are about its version.
func (a *answers) keep(p Package, hits []uint16) {
	if len(a.known) >= maxAnswers {
		clear(a.known)
	}
	a.known[answerKey(p)] = hits
	a.more = true
}

func answerKey(p Package) [keySize]byte {
	return key(p.Ecosystem, strings.Join([]string{p.Name, p.Version}, "\x00"))
}

// write writes them down, if there are more than before. What fails costs a reading the next time.
func (a *answers) write() {
	if !a.more {
		return
	}
	out := []byte(answersFormat + indexFormat + a.archive + "\n")
	for k, hits := range a.known {
		out = append(out, k[:]...)
		out = binary.BigEndian.AppendUint16(out, uint16(len(hits))) //nolint:gosec // no more than the places of a package
		for _, i := range hits {
			out = binary.BigEndian.AppendUint16(out, i)
		}
	}
	sum := sha256.Sum256(out)
	_ = disk.ReplaceFile(a.file, slices.Concat(out, sum[:]), 0o600) // see above
}
