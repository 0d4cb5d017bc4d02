package rebase

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"fnb/sbom"
	"fnb/sbom/scan"
)

// What was made for one base image need not work on another, and it is said why.
func TestCompatible(t *testing.T) {
	t.Parallel()
	type image struct {
		system   sbom.System
		packages string // NAME VERSION, …
		env      []string
	}
	debian := sbom.System{ID: "debian", Version: "12"}
	old := image{debian, "libc6 2.36-9, libssl3 3.0.14", []string{"PYTHON_VERSION=3.13.1"}}
	found := func(i image) *scan.Found {
		f := &scan.Found{System: i.system}
		for p := range strings.SplitSeq(i.packages, ", ") {
			name, version, _ := strings.Cut(p, " ")
			f.Packages = append(f.Packages, sbom.Package{Ecosystem: "Debian:12", Name: name, Version: version})
		}
		return f
	}
	for why, to := range map[string]image{
		"": {debian, "libc6 2.36-10, libssl3 3.0.15, more 1", []string{"PYTHON_VERSION=3.13.2"}},
		"the new base image is alpine, and the old one debian":               {sbom.System{ID: "alpine", Version: "3.22.1"}, old.packages, old.env},
		"the new base image is debian 13, and the old one 12":                {sbom.System{ID: "debian", Version: "13"}, old.packages, old.env},
		"nothing in one of the base images says of which distribution it is": {sbom.System{}, old.packages, old.env},
		"the new base image has no package libssl3, which the old one has":   {debian, "libc6 2.36-9", old.env},
		"libc6 is older in the new base image, 2.31-1 after 2.36-9":          {debian, "libc6 2.31-1, libssl3 3.0.15", old.env},
		"libssl3 is older in the new base image, 3.0.13 after 3.0.14":        {debian, "libc6 2.36-9, libssl3 3.0.13", old.env},
		"PYTHON_VERSION is 3.14.0 in the new base image, and was 3.13.1":     {debian, old.packages, []string{"PYTHON_VERSION=3.14.0"}},
		"NODE_VERSION is 24.1.0 in the new base image, and was not there":    {debian, old.packages, append([]string{"NODE_VERSION=24.1.0"}, old.env...)},
		"PYTHON_VERSION is not there in the new base image, and was 3.13.1":  {debian, old.packages, nil},
	} {
		err := compatible(found(old), found(to), old.env, to.env)
		if (err == nil) != (why == "") || err != nil && err.Error() != why {
			t.Errorf("%v, want %q", err, why)
		}
	}
}

func layerOf(t *testing.T, files map[string][]byte) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, data := range files {
		h := &tar.Header{Name: name, Mode: 0o755, Size: int64(len(data))}
		if data == nil {
			h.Typeflag, h.Linkname = tar.TypeSymlink, "elsewhere"
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// What programs above a base image are linked with is read from them.
func TestLinked(t *testing.T) {
	t.Parallel()
	program, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Skip(err)
	}
	l := links{needs: map[string]string{}, has: map[string]bool{}}
	all := map[string][]byte{
		"app/program": program, "app/cut": program[:len(program)/3], "app/text": []byte("#!/bin/sh\n"), "app/short": []byte("\x7fE"), "app/empty": {},
		"app/lib/libown.so.1": nil,
	}
	if err := l.read(t.Context(), layerOf(t, all)); err != nil {
		t.Fatal(err)
	}
	if by := l.needs["libc.so.6"]; by != "app/program" && by != "app/cut" {
		t.Errorf("%v", l.needs)
	}
	if !l.has["libown.so.1"] || len(l.has) != len(all) {
		t.Errorf("%v", l.has)
	}
	if got := missing([]string{"a.so", "b.so.1", "c.so"}, []string{"a.so", "c.so", "d.so"}); len(got) != 1 || got[0] != "b.so.1" {
		t.Errorf("%v", got)
	}
}

// A program that is meant to harm harms nobody.
func FuzzNeeded(f *testing.F) {
	if program, err := os.ReadFile("/bin/true"); err == nil {
		f.Add(program)
	}
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = needed(data) })
}
