package builder_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/internal/fixture"
)

// A builder lends what it has just pushed by digest: the manifest, the configuration and every layer, whose
// times it has rewritten; and says of what it has not that it has it not.
func TestBlob(t *testing.T) {
	t.Parallel()
	host, base := buildertest.RegistryHost(t), buildertest.SmallBase(t)
	for who, c := range map[string]*builder.Client{"stock": buildertest.Stock(t), "own": buildertest.StartManaged(t, buildertest.NewManaged(t, buildertest.Mirrors(t)))} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			repository := host + "/blob/" + who
			res := buildertest.Solve(t, c, builder.Request{
				Name: "blob", Context: fixture.Files("Dockerfile", base+"COPY files/ /\n", "files/large", strings.Repeat("0123456789", 400_000), "files/who", who),
				Output: builder.Output{Push: []string{repository + ":1"}, ByDigest: true},
			})
			ref, err := name.NewDigest(repository + "@" + res.Digest)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := remote.Head(ref.Context().Tag("1")); err == nil {
				t.Error("there is a tag")
			}
			img, err := remote.Image(ref)
			if err != nil {
				t.Fatal(err)
			}
			var m v1.Manifest
			if err := json.Unmarshal(lent(t, res, res.Digest), &m); err != nil {
				t.Fatal(err)
			}
			if len(m.Layers) < 2 {
				t.Errorf("the manifest is %+v", m)
			}
			want, err := img.RawConfigFile()
			if got := lent(t, res, m.Config.Digest.String()); err != nil || !bytes.Equal(got, want) {
				t.Errorf("the configuration is %s, %v", got, err)
			}
			for _, l := range m.Layers {
				if got := lent(t, res, l.Digest.String()); int64(len(got)) != l.Size {
					t.Errorf("the layer %s has %d bytes, not %d", l.Digest, len(got), l.Size)
				}
			}
			if _, err := res.Blob(t.Context(), "sha256:"+strings.Repeat("0", 64)); err == nil {
				t.Error("it lends what it has not")
			}
		})
	}
}

func lent(t *testing.T, res *builder.Result, digest string) []byte {
	t.Helper()
	r, err := res.Blob(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return data
}
