package schema_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/distribution/reference"

	"fnb/schema"
)

const someDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestParseImageRef(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]schema.ImageRef{
		"golang":                             {Registry: "docker.io", Repository: "library/golang"},
		"golang:1.26":                        {Registry: "docker.io", Repository: "library/golang", Tag: "1.26"},
		"index.docker.io/acme/hello":         {Registry: "docker.io", Repository: "acme/hello"},
		"localhost/hello":                    {Registry: "localhost", Repository: "hello"},
		"localhost:5000/hello":               {Registry: "localhost:5000", Repository: "hello"},
		"[::1]:5000/a/b:c":                   {Registry: "[::1]:5000", Repository: "a/b", Tag: "c"},
		"ghcr.io/acme/hello@" + someDigest:   {Registry: "ghcr.io", Repository: "acme/hello", Digest: someDigest},
		"ghcr.io/acme/hello:1@" + someDigest: {Registry: "ghcr.io", Repository: "acme/hello", Tag: "1", Digest: someDigest},
		"acme/hello:A_b.c-D":                 {Registry: "docker.io", Repository: "acme/hello", Tag: "A_b.c-D"},
	} {
		got, err := schema.ParseImageRef(text)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", text, got, err, want)
		}
		if again, err := schema.ParseImageRef(got.String()); err != nil || again != got {
			t.Errorf("%s: %s reads as %+v, %v", text, got, again, err)
		}
	}
}

func TestParseImageRefErrors(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", ":", "@", "/", "a:", "a@", "acme/Hello", "https://ghcr.io/acme/hello", "acme/hello:feature/x", "a b",
		"hello@sha256:12", "hello@" + strings.ToUpper(someDigest), someDigest[len("sha256:"):], "acme//hello", "acme/hello:" + strings.Repeat("x", 129),
		"-acme/hello", "héllo", "hello\n", "hello\x00", "${IMAGE}", strings.Repeat("a/", 200) + "b",
	} {
		got, err := schema.ParseImageRef(text)
		if image, ok := errors.AsType[*schema.ImageError](err); !ok || image.Problem == "" || got != (schema.ImageRef{}) {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}

func TestImageRefForms(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct{ full, exact, tag, pinned string }{
		"hello": {
			"docker.io/library/hello:latest", "docker.io/library/hello:latest",
			"docker.io/library/hello:2", "docker.io/library/hello@" + someDigest,
		},
		"r.example/a:1": {"r.example/a:1", "r.example/a:1", "r.example/a:2", "r.example/a@" + someDigest},
		"r.example/a:1@" + someDigest: {
			"r.example/a:1@" + someDigest, "r.example/a@" + someDigest, "r.example/a:2", "r.example/a@" + someDigest,
		},
	} {
		ref, err := schema.ParseImageRef(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := ref.Full().String(); got != want.full {
			t.Errorf("%s in full: %s, want %s", text, got, want.full)
		}
		if got := ref.Exact().String(); got != want.exact {
			t.Errorf("%s exactly: %s, want %s", text, got, want.exact)
		}
		if got := ref.WithTag("2").String(); got != want.tag {
			t.Errorf("%s with a tag: %s, want %s", text, got, want.tag)
		}
		if got := ref.Pinned(someDigest).String(); got != want.pinned {
			t.Errorf("%s pinned: %s, want %s", text, got, want.pinned)
		}
	}
	var none schema.ImageRef
	if none.String() != "" || none.Full() != none || none.Exact() != none || none.Same(none) {
		t.Errorf("the zero value names %q in full, and is itself: %v", none.Full(), none.Same(none))
	}
	a, _ := schema.ParseImageRef("hello")
	b, _ := schema.ParseImageRef("index.docker.io/library/hello:latest")
	if !a.Same(b) || a.Same(b.WithTag("2")) {
		t.Errorf("%s and %s are the same: %v", a, b, a.Same(b))
	}
}

// FuzzParseImageRef compares what is read with the library that Docker uses.
func FuzzParseImageRef(f *testing.F) {
	for _, s := range []string{"golang", "ghcr.io/a/b:c@" + someDigest, "localhost:5000/x", "a:b/c", "[::1]:80/a", "docker.io/library/a", "index.docker.io/a", "A/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := schema.ParseImageRef(text)
		named, want := reference.ParseNormalizedNamed(text)
		if (err == nil) != (want == nil) {
			t.Fatalf("%q: %v; the library says %v", text, err, want)
		}
		if err != nil {
			return
		}
		if ref.Name() != named.Name() || ref.String() != named.String() {
			t.Fatalf("%q is %q; the library says %q", text, ref, named)
		}
		if full := reference.TagNameOnly(named).String(); ref.Full().String() != full {
			t.Fatalf("%q is in full %q; the library says %q", text, ref.Full(), full)
		}
		if exact, err := reference.ParseDockerRef(text); err != nil || ref.Exact().String() != exact.String() {
			t.Fatalf("%q is exactly %q; the library says %q, %v", text, ref.Exact(), exact, err)
		}
		again, err := schema.ParseImageRef(ref.String())
		if err != nil || again != ref || !again.Same(ref) {
			t.Fatalf("%q reads as %+v, %v; it was %+v", ref, again, err, ref)
		}
	})
}

// TestPasswords shows no password that somebody has put into a reference.
func TestPasswords(t *testing.T) {
	t.Parallel()
	for ref, shown := range map[string]string{
		"https://me:s3cret@r.example/a:1":            "https://me:…@r.example/a:1",
		"me:s3cret@r.example:5000/a":                 "me:…@r.example:5000/a",
		"http://me:s3cret/s3cret@s3cret@r.example/a": "http://me:…@r.example/a",
		"me:s3cret@r.example/a@" + someDigest:        "me:…@r.example/a@" + someDigest,
	} {
		_, err := schema.ParseImageRef(ref)
		if err == nil || !strings.Contains(err.Error(), "fnb login HOST") || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), shown) {
			t.Errorf("%s: %v", ref, err)
		}
	}
}
