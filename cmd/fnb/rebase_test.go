package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"fnb/schema"
	"fnb/schema/rebaseplan"
	"fnb/schema/words"
)

// checkRebase has the base image of a user's one function replaced by one with a file more, and builds the function with that: both
// are the same image, on all platforms.
func checkRebase(t *testing.T, r *rig, u *fnbUser, platforms string) {
	t.Helper()
	build := []string{"build", "--push", "--attest", "provenance", "--progress", "plain", "--platform", platforms}
	first, _, _ := strings.Cut(platforms, ",")
	img, err := pullImage(result(t, u.run(build...)), first)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	base, digest := config.Config.Labels[words.LabelBaseName], config.Config.Labels[words.LabelBaseDigest]
	ref, err := schema.ParseImageRef(base)
	if err != nil {
		t.Fatal(err)
	}
	mirror := r.mirrors[ref.Registry]
	if mirror == "" {
		t.Skipf("no base image can be put into %s: only a mirror of this machine takes one", ref.Registry)
	}
	patched := patchBase(t, mirror+"/"+ref.Repository, digest)
	u.run("rebase", "--base", base+"@"+patched, "--plan", "plan.json")
	var plan rebaseplan.Plan
	raw, err := os.ReadFile(filepath.Join(u.dir, "plan.json"))
	if err == nil {
		err = json.Unmarshal(raw, &plan)
	}
	if err != nil || len(plan.Images) != 1 || plan.Images[0].Action != rebaseplan.Rebase || plan.Images[0].Inputs == "" {
		t.Fatalf("%v: %s", err, raw)
	}
	lock, err := os.ReadFile(filepath.Join(u.dir, "fnb.lock"))
	if err != nil || !bytes.Contains(lock, []byte(digest)) {
		t.Fatalf("%v: %s", err, lock)
	}
	u.write("fnb.lock", strings.ReplaceAll(string(lock), digest, patched))
	if built := result(t, u.run(build...)); !strings.HasSuffix(built, "@"+plan.Images[0].Becomes) {
		t.Errorf("a build gives %s, and the plan %s", built, plan.Images[0].Becomes)
	}
}

// result is the image of a run with one function, by digest.
func result(t *testing.T, out string) string {
	t.Helper()
	f := strings.Fields(out)
	if len(f) != 3 {
		t.Fatalf("not the result of one function: %s", out)
	}
	return f[1] + "@" + f[2]
}

// patchBase puts a base image with a file more into its repository, and returns its digest.
func patchBase(t *testing.T, repository, digest string) string {
	t.Helper()
	repo, err := name.NewRepository(repository, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	got, err := remote.Get(repo.Digest(digest))
	if err != nil {
		t.Fatal(err)
	}
	to := repo.Tag("patched-" + strings.TrimPrefix(digest, "sha256:")[:12])
	if got.MediaType.IsImage() {
		img, err := got.Image()
		if err != nil {
			t.Fatal(err)
		}
		img = patch(t, img)
		if err := remote.Write(to, img); err != nil {
			t.Fatal(err)
		}
		return digestOf(t, img)
	}
	old, err := got.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	m, err := old.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.IndexMediaType(empty.Index, m.MediaType)
	for _, d := range m.Manifests {
		img, err := old.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: patch(t, img), Descriptor: v1.Descriptor{Platform: d.Platform}})
	}
	if err := remote.WriteIndex(to, index); err != nil {
		t.Fatal(err)
	}
	return digestOf(t, index)
}

func digestOf(t *testing.T, image interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	h, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}

// patch is an image with a file more.
func patch(t *testing.T, img v1.Image) v1.Image {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "etc/patched", Mode: 0o644, Size: 5}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "fixed"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: "patch"}})
	if err != nil {
		t.Fatal(err)
	}
	return img
}
