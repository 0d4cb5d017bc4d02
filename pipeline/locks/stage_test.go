package locks

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"fnb/internal/fixture"
)

// stageOf is a tar of files, whose names and contents alternate.
func stageOf(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		h := &tar.Header{Name: files[i], Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[i+1]))}
		if to, ok := strings.CutPrefix(files[i+1], "-> "); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, to, 0
		}
		fixture.Must(t, w.WriteHeader(h))
		if h.Typeflag == tar.TypeReg {
			_, err := io.WriteString(w, files[i+1])
			fixture.Must(t, err)
		}
	}
	fixture.Must(t, w.Close())
	return b.Bytes()
}

// zeros is a file without an end, as a sparse one can be.
type zeros struct{ read int64 }

func (z *zeros) Read(b []byte) (int, error) {
	clear(b)
	z.read += int64(len(b))
	return len(b), nil
}

// TestStage: of what a builder sends, only the locks of the manager are taken, and its size is looked at while it comes.
func TestStage(t *testing.T) {
	t.Parallel()
	s := stage{manager: "npm", most: maxStage}
	err := s.read(bytes.NewReader(stageOf(t, "package-lock.json", "{}", "yarn.lock", "y", "bin/package-lock.json", "deep", "/etc/passwd", "x")))
	if err != nil || len(s.files) != 1 || string(s.files["package-lock.json"]) != "{}" {
		t.Errorf("%q, %v", s.files, err)
	}
	s = stage{manager: "npm", most: maxStage}
	if err := s.read(bytes.NewReader(stageOf(t, "package-lock.json", "-> /etc/passwd"))); err == nil || !s.refused {
		t.Errorf("a link: %v", err)
	}
	s = stage{manager: "npm", most: maxStage}
	if err := s.read(strings.NewReader(strings.Repeat("x", 2048))); !errors.Is(err, tar.ErrHeader) || !s.refused {
		t.Errorf("no tar: %v", err)
	}
	s = stage{manager: "npm", most: maxStage}
	if err := s.read(io.MultiReader(bytes.NewReader(stageOf(t, "yarn.lock", "y")[:1024]), iotest.ErrReader(errGone))); !errors.Is(err, errGone) || s.refused {
		t.Errorf("a builder that goes away: %v", err)
	}
	for name, size := range map[string]int64{"package-lock.json": maxLock + 1, "package-lock.json ": 1 << 40, "big": 1 << 40} {
		var head bytes.Buffer
		fixture.Must(t, tar.NewWriter(&head).WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: size}))
		s, endless := stage{manager: "npm", most: 1 << 20}, &zeros{}
		if err := s.read(io.MultiReader(&head, endless)); err == nil || !s.refused || endless.read > s.most+1<<16 {
			t.Errorf("%s of %d bytes: %v after %d bytes", name, size, err, endless.read)
		}
	}
}

var errGone = errors.New("gone")
