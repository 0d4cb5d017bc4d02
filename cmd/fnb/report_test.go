package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/internal/servers"
	"fnb/schema"
	"fnb/schema/words"
)

// strictly reads a JSON document into v, which has to have a place for every key.
func strictly(t *testing.T, text string, v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// TestReport builds one function in every way there is, and compares what the
// build report says with what is there.
func TestReport(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	reg := servers.RegistryFor(t, servers.RegistryOptions{})
	u := newUser(t, r)
	if err := os.Mkdir(filepath.Join(u.dir, "hello"), 0o700); err != nil {
		t.Fatal(err)
	}
	ref := reg.Host + "/report/hello:1"
	u.write("stack.yaml", "functions:\n  hello: {lang: dockerfile, handler: ./hello, image: '"+ref+"'}\n")
	u.write("hello/Dockerfile", "FROM debian:bookworm-slim\nRUN echo 1 >/one\nCOPY . /function\nCMD [\"/function/run\"]\n")
	u.write("hello/run", "#!/bin/sh\n")
	u.write("hello/data", strings.Repeat("0123456789", 1000)+time.Now().String()) // the builder remembers other runs
	report := func(args ...string) schema.FunctionReport {
		t.Helper()
		var rep schema.Report
		strictly(t, u.run(append(args, "--json")...), &rep)
		if rep.Version != 1 || len(rep.Functions) != 1 || rep.Functions[0].Name != "hello" || rep.Functions[0].Error != "" {
			t.Fatalf("%s: %+v", args, rep)
		}
		sum := 0.0
		for phase, s := range rep.Functions[0].Seconds {
			if s <= 0 {
				t.Errorf("%s: %s took %v", args, phase, s)
			}
			sum += s
		}
		if sum > rep.Seconds { // one after another
			t.Errorf("%s: %v in all, of which %v", args, rep.Seconds, rep.Functions[0].Seconds)
		}
		return rep.Functions[0]
	}
	phases := func(f schema.FunctionReport, want ...string) {
		t.Helper()
		var got []string
		for phase := range f.Seconds {
			got = append(got, phase)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: phases (-want +got):\n%s", f.Status, diff)
		}
	}
	shown := report("build", "--context-only", "shown")
	phases(shown, "package", "resolve")
	built := report("build", "--attest", "none") // what is attached has a script of its own
	phases(built, "check", "package", "plan", "resolve", "solve", "wait")
	if want := bytesBelow(t, filepath.Join(u.dir, "shown", "hello")); shown.Status != "context" || built.Status != "built" || built.Context != want {
		t.Errorf("%s, %s, %d bytes of context, want %d", shown.Status, built.Status, built.Context, want)
	}
	if again := report("build", "--no-cache", "--output", "oci=x.tar"); again.Status != "built" || again.Reason != "--no-cache" || again.Cached {
		t.Errorf("%+v", again)
	}
	if again := report("build", "--output", "oci=x.tar"); again.Status != "cached" || !again.Cached {
		t.Errorf("%+v", again)
	}

	pushed := report("push")
	phases(pushed, "push")
	img, digest, size := imageOf(t, ref)
	want := schema.FunctionReport{
		Name: "hello", Template: "dockerfile", Pin: built.Pin, InputDigest: built.InputDigest, Reference: ref, Tags: []string{ref},
		Digest: digest, Status: "built", Seconds: built.Seconds, Context: built.Context,
		Platforms: []schema.PlatformReport{{Platform: "linux/amd64", Digest: digest, Size: size}},
	}
	if diff := cmp.Diff(want, built); diff != "" {
		t.Errorf("built (-want +got):\n%s", diff)
	}
	want.Status, want.Pin, want.Context, want.Seconds, want.Sent = "pushed", nil, 0, pushed.Seconds, size+img.Config.Size
	if diff := cmp.Diff(want, pushed); diff != "" {
		t.Errorf("pushed (-want +got):\n%s", diff)
	}
	if img.Annotations[words.LabelInput] != built.InputDigest || built.Pin == nil || built.Pin.Checksum != img.Annotations["fnb.template.checksum"] {
		t.Errorf("the image says %v", img.Annotations)
	}

	// By the builder, where there is no such image, and where there is one.
	want.Pin, want.Sent = built.Pin, 0
	for _, args := range [][]string{{"--push"}, {"--push", "--no-input-tag", "--no-cache"}} {
		direct := report(append([]string{"build", "--label", "a=b"}, args...)...)
		img, digest, size = imageOf(t, ref)
		want.Status, want.InputDigest, want.Digest = "pushed", img.Annotations[words.LabelInput], digest
		want.Reason, want.Seconds, want.Context, want.Cached = direct.Reason, direct.Seconds, built.Context, direct.Cached
		want.Platforms = []schema.PlatformReport{{Platform: "linux/amd64", Digest: digest, Size: size}}
		if diff := cmp.Diff(want, direct); diff != "" {
			t.Errorf("%s (-want +got):\n%s", args, diff)
		}
	}
	skipped := report("build", "--label", "a=b", "--push")
	phases(skipped, "check", "package", "plan", "resolve")
	want.Status, want.Reason, want.Seconds, want.Context = "skipped", "the registry has it", skipped.Seconds, 0
	if diff := cmp.Diff(want, skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
}

// bytesBelow is how much the files of a folder have in them.
func bytesBelow(t *testing.T, dir string) int64 {
	t.Helper()
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		sum += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// imageOf is the manifest of a registry's image for linux/amd64, its digest, and how
// large its layers are.
func imageOf(t *testing.T, ref string) (m *v1.Manifest, digest string, size int64) {
	t.Helper()
	img, err := pullImage(ref, "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	if m, err = img.Manifest(); err != nil {
		t.Fatal(err)
	}
	for _, l := range m.Layers {
		size += l.Size
	}
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return m, d.String(), size
}
