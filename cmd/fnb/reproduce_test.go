package main

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// reproduced are functions whose steps make files, folders and links. Of the
// first, which has no base image, all is fnb's doing, on two platforms. The layers of the
// last are made with their time, by way of links too, and in folders that were there.
func reproduced() map[string]struct{ platforms, dockerfile string } {
	return map[string]struct{ platforms, dockerfile string }{
		"whole": {"linux/amd64,linux/arm64", `FROM --platform=$BUILDPLATFORM debian:bookworm-slim AS build
RUN mkdir -p /out/a/b && echo 1 >/out/a/b/f && ln /out/a/b/f /out/hard && ln -s a/b/f /out/soft && touch -d @4000000000 /out/future && touch -d @1000.5 /out/past
FROM scratch
COPY --from=build /out /out
COPY . /function
CMD ["/function/run"]
`},
		"timed": {"linux/amd64", `FROM debian:bookworm-slim AS build
RUN mkdir -p /out/a/b && echo 1 >/out/a/b/f && ln /out/a/b/f /out/hard && ln -s a/b/f /out/soft && touch -d @4000000000 /out/future && touch -d @1000.5 /out/past && mkdir /first /second && echo one >/first/same && echo two >/second/same
FROM debian:bookworm-slim
WORKDIR /usr/local/share/app
COPY --from=build /out/ ./
COPY --from=build --chown=www-data:www-data /out/past /out/hard /var/run/deep/below/
COPY --from=build /first/ /same/
COPY --from=build /second/ /same/
COPY . /function
COPY --link run lib /usr/local/bin/
USER www-data
WORKDIR /srv
CMD ["/function/run"]
`},
		"based": {"linux/amd64", `FROM debian:bookworm-slim
RUN mkdir -p /new/folder && echo 1 >/new/file && rm /etc/issue
COPY . /function
CMD ["/function/run"]
`},
	}
}

// TestAnotherDay builds the same functions on two builders that never saw them, at another
// second, of files with other times, in another place, as another user with
// another umask and the environment of a CI system: the digests are equal, and
// no time in the images is later than their epoch.
func TestAnotherDay(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	first := newUser(t, r, "FNB_BUILDER="+r.stockBuilder(t))
	second := newUser(t, r, "CI=true", "TZ=Pacific/Kiritimati", "LANG=tr_TR.UTF-8",
		"FNB_BUILDER="+servers.BuildkitdFor(t, servers.BuildkitdOptions{Mirrors: r.mirrors, TCP: true}).Address)
	second.umask = "077"
	var results []map[string]string
	began := time.Now()
	for i, u := range []*fnbUser{first, second} {
		stack := "functions:\n"
		for fn, made := range reproduced() {
			if err := os.MkdirAll(filepath.Join(u.dir, fn, "lib"), 0o750); err != nil {
				t.Fatal(err)
			}
			u.write(fn+"/Dockerfile", made.dockerfile)
			u.write(fn+"/run", "#!/bin/sh\n")
			u.write(fn+"/lib/data", strings.Repeat("data", 1000))
			stack += fmt.Sprintf("  %s: {lang: dockerfile, handler: ./%s, image: '%s/day%d/%s:1', platforms: '%s'}\n", fn, fn, r.registry.Host, i, fn, made.platforms)
		}
		u.write("stack.yaml", stack)
		if u == second {
			become(t, u)
			age(t, u.dir)
		}
		for time.Now().Unix() == began.Unix() { // each build has seconds of its own
			time.Sleep(10 * time.Millisecond)
		}
		results = append(results, digests(u.run("build", "--push", "--no-input-tag")))
	}
	for fn := range reproduced() {
		if a, b := results[0][fn], results[1][fn]; a == "" || a != b {
			t.Errorf("%s: %s and %s", fn, a, b)
		}
	}
	epoch := time.Unix(315532801, 0)
	timesOf(t, r.registry.Host+"/day0/whole:1", empty.Image, epoch)
	base, err := pullImage(cmp.Or(r.mirrors["docker.io"], "docker.io")+"/library/debian:bookworm-slim", "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	timesOf(t, r.registry.Host+"/day1/based:1", base, epoch)
	timesOf(t, r.registry.Host+"/day1/timed:1", base, epoch)
	for fn, want := range map[string]bool{"whole": false, "timed": false, "based": true} {
		if got := writtenAnew(t, r.registry.Host+"/day1/"+fn+":1"); got != want {
			t.Errorf("%s: an exporter wrote a layer anew: %t", fn, got)
		}
	}
	if got := contentOf(t, r.registry.Host+"/day0/timed:1", "same/same"); got != "two\n" {
		t.Errorf("a file of the same size and time was taken for the one before: %q", got)
	}
	own := newUser(t, r)
	own.dir = second.dir
	if got := digests(own.run("build", "--push", "--no-input-tag", "--no-cache")); got["timed"] != results[0]["timed"] || got["based"] != results[0]["based"] {
		t.Errorf("by fnb's own builder they are %v", got)
	}
}

// writtenAnew reports whether an exporter has set the times of a layer, of which it leaves a note.
func writtenAnew(t *testing.T, ref string) bool {
	t.Helper()
	img, err := pullImage(ref, "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(m.Layers, func(l v1.Descriptor) bool { return l.Annotations["buildkit/rewritten-timestamp"] != "" })
}

// contentOf is what a file of an image has in it.
func contentOf(t *testing.T, ref, file string) string {
	t.Helper()
	img, err := pullImage(ref, "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	all := mutate.Extract(img)
	defer all.Close()
	for tr := tar.NewReader(all); ; {
		h, err := tr.Next()
		if err != nil {
			t.Fatalf("%s: %s: %v", ref, file, err)
		}
		if h.Name == file {
			raw, err := io.ReadAll(tr)
			if err != nil {
				t.Fatal(err)
			}
			return string(raw)
		}
	}
}

// become has an fnbUser run as nobody in particular, where the tests run as root.
func become(t *testing.T, u *fnbUser) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	const id = 54321
	dir, err := os.MkdirTemp("", "fnb-another-user-") //nolint:usetesting // others may not enter a test's own folder
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program, err := os.ReadFile(u.bin)
	if err != nil {
		t.Fatal(err)
	}
	bin, project, home := filepath.Join(dir, "fnb"), filepath.Join(dir, "project"), filepath.Join(dir, "home")
	err = errors.Join(os.Chmod(dir, 0o755), os.WriteFile(bin, program, 0o755), os.CopyFS(project, os.DirFS(u.dir)), os.Mkdir(home, 0o700)) //nolint:gosec // it has to be executable for others
	err = errors.Join(err, filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if err != nil || p == dir || p == bin {
			return err
		}
		return os.Chown(p, id, id)
	}))
	if err != nil {
		t.Fatal(err)
	}
	u.bin, u.dir = bin, project
	u.env = append(u.env, "HOME="+home, "USER=somebody", "FNB_CONFIG="+os.DevNull, "FNB_BUILDER_ROOT=")
	u.credential = &syscall.Credential{Uid: id, Gid: id}
}

// timesOf fails where a time in an image is later than its epoch: in what its
// index, manifest and configuration say, and in its layers. What the base image
// has brought stays as it was.
func timesOf(t *testing.T, ref string, base v1.Image, epoch time.Time) {
	t.Helper()
	img, err := pullImage(ref, "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	was, err := base.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	late := func(what string, at time.Time) {
		if at.After(epoch) {
			t.Errorf("%s: %s is of %s", ref, what, at)
		}
	}
	late("the configuration", config.Created.Time)
	for _, h := range config.History[len(was.History):] {
		late("history "+h.CreatedBy, h.Created.Time)
	}
	texts := []map[string]string{config.Config.Labels, m.Annotations, annotationsOf(t, ref)}
	for _, d := range m.Layers {
		texts = append(texts, d.Annotations)
	}
	stamps := 0
	for _, text := range texts {
		for k, v := range text {
			if at, err := time.Parse(time.RFC3339, v); err == nil {
				late(k, at)
				stamps++
			}
		}
	}
	if stamps < 3 {
		t.Errorf("%s: %d times in labels and annotations", ref, stamps)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	entries := 0
	for i, l := range layers[len(was.RootFS.DiffIDs):] {
		entries += layerTimes(t, fmt.Sprintf("%s, layer %d of its own", ref, i+1), l, epoch)
	}
	if entries < 8 {
		t.Errorf("%s: %d entries in its own layers", ref, entries)
	}
}

// annotationsOf are those of what a reference names: an index, or an image.
func annotationsOf(t *testing.T, ref string) map[string]string {
	t.Helper()
	parsed, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	found, err := remote.Get(parsed)
	if err != nil {
		t.Fatal(err)
	}
	var top struct{ Annotations map[string]string }
	if err := json.Unmarshal(found.Manifest, &top); err != nil {
		t.Fatal(err)
	}
	return top.Annotations
}

// layerTimes checks the times of a layer's blob and of its entries, and counts
// these.
func layerTimes(t *testing.T, what string, l v1.Layer, epoch time.Time) int {
	t.Helper()
	blob, err := l.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close()
	z, err := gzip.NewReader(blob)
	if err != nil {
		t.Fatal(err)
	}
	if !z.ModTime.IsZero() || z.Name != "" || z.Comment != "" {
		t.Errorf("%s: its gzip header has %s, %q and %q", what, z.ModTime, z.Name, z.Comment)
	}
	entries := 0
	for h := range fixture.Entries(t, z) {
		entries++
		for _, at := range []time.Time{h.ModTime, h.AccessTime, h.ChangeTime} {
			if at.After(epoch) {
				t.Errorf("%s: %s is of %s", what, h.Name, at)
			}
		}
		for k, v := range h.PAXRecords {
			if seconds, err := strconv.ParseFloat(v, 64); strings.HasSuffix(k, "time") && (err != nil || seconds > float64(epoch.Unix())) {
				t.Errorf("%s: %s has %s=%s", what, h.Name, k, v)
			}
		}
	}
	return entries
}
