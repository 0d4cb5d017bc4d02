package main

import (
	"archive/tar"
	"archive/zip"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A file is one of an archive or a package.
type file struct {
	name string
	data []byte
	mode os.FileMode
}

// in is the file in a folder.
func (f file) in(dir string) file {
	f.name = dir + "/" + f.name
	return f
}

// archive makes a platform's archive: a zip for Windows, and a tar.gz for the others. fnb is at its root. On Linux the
// watchdog is beside it, for images that are made without fnb.
func (r *release) archive(p platform, program string, x *extras) error {
	files, err := programs(p, program)
	if err != nil {
		return err
	}
	if p.os == "linux" {
		watchdog, err := os.ReadFile(r.watchdog(p))
		if err != nil {
			return fmt.Errorf("%w; make it with: make watchdog", err)
		}
		files = append(files, file{name: "fwatchdog", data: watchdog, mode: 0o755})
	}
	files = append(files, x.documents...)
	for _, f := range x.man {
		files = append(files, f.in("man"))
	}
	for _, f := range x.completions {
		files = append(files, f.in("completions"))
	}
	name, write := r.archiveName(p), writeTarGz
	if p.os == "windows" {
		write = writeZip
	}
	return writeTo(filepath.Join(r.page(), name), func(w io.Writer) error { return write(w, files, r.time) })
}

// watchdog is the file of the watchdog for a platform of Linux.
func (r *release) watchdog(p platform) string {
	return filepath.Join(r.root, "bin", "fwatchdog-linux-"+p.arch)
}

// archiveName is what installers expect: they know the version and the platform.
func (r *release) archiveName(p platform) string {
	ext := ".tar.gz"
	if p.os == "windows" {
		ext = ".zip"
	}
	return "fnb_" + r.version + "_" + p.os + "_" + p.arch + ext
}

func programs(p platform, program string) ([]file, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	return []file{{name: p.program("fnb"), data: data, mode: 0o755}}, nil
}

// writeTarGz writes files that belong to nobody in particular, all of one time.
func writeTarGz(w io.Writer, files []file, at time.Time) error {
	packed, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	out := tar.NewWriter(packed)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.data)), Mode: int64(f.mode), ModTime: at, Format: tar.FormatUSTAR}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := out.Write(f.data); err != nil {
			return err
		}
	}
	return errors.Join(out.Close(), packed.Close())
}

func writeZip(w io.Writer, files []file, at time.Time) error {
	out := zip.NewWriter(w)
	out.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: at}
		h.SetMode(f.mode)
		entry, err := out.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := entry.Write(f.data); err != nil {
			return err
		}
	}
	return out.Close()
}

// writeTo writes a new file.
func writeTo(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// checksums writes checksums.txt for the files of the release page, as sha256sum --check reads it, and returns the sums by name.
func (r *release) checksums() (map[string]string, error) {
	entries, err := os.ReadDir(r.page())
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	var lines []string
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(r.page(), e.Name()))
		if err != nil {
			return nil, err
		}
		sums[e.Name()] = fmt.Sprintf("%x", sha256.Sum256(data))
		lines = append(lines, sums[e.Name()]+"  "+e.Name()+"\n")
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	return sums, os.WriteFile(filepath.Join(r.page(), "checksums.txt"), []byte(strings.Join(lines, "")), 0o644)
}
