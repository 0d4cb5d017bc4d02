package main

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"fnb/internal/servers"
)

// BenchmarkMachine measures the starters of three templates as virtual machines under QEMU's emulation: the seconds from the start of
// QEMU to the function's first answer, and the size of the disk beside that of the image's files.
func BenchmarkMachine(b *testing.B) {
	r, err := shared()
	servers.Require(b, "buildkit", err)
	_, err = machineKit()
	servers.Require(b, "vm", err)
	for _, template := range []string{"go", "python3", "node"} {
		b.Run(template, func(b *testing.B) {
			u := newBenchUser(b, r)
			img, err := u.image(r, template)
			if err != nil {
				b.Fatal(err)
			}
			u.run("build", template, "--quiet", "--output", "rootfs="+template+".ext4")
			command, err := u.command("generate", "qemu", template).Output()
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := bootAndAnswer(b.Context(), u.dir, string(command)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/boot")
			fi, err := os.Stat(filepath.Join(u.dir, template+".ext4"))
			if err != nil {
				b.Fatal(err)
			}
			files, err := fileBytes(img)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(fi.Size())/1e6, "disk-MB")
			b.ReportMetric(float64(files)/1e6, "files-MB")
			b.ReportMetric(float64(fi.Size())/float64(files), "disk/files")
		})
	}
}

// bootAndAnswer starts a machine, and takes its power away once it has answered.
func bootAndAnswer(ctx context.Context, dir, command string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	m, err := startMachine(ctx, dir, command)
	if err != nil {
		return err
	}
	_, err = m.Answer(ctx, "/")
	return errors.Join(err, m.Close())
}

// fileBytes is how large the files of an image are together.
func fileBytes(img v1.Image) (int64, error) {
	all := mutate.Extract(img)
	sum := int64(0)
	for tr := tar.NewReader(all); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return sum, all.Close()
		}
		if err != nil {
			return 0, errors.Join(err, all.Close())
		}
		sum += h.Size
	}
}
