package registry

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"fnb/images/imagestest"
	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/internal/servers/front"
	"fnb/schema"
)

// TestQuirks has one thing at a time be otherwise than in the registry of the
// distribution project, and does with each registry what fnb does with one.
func TestQuirks(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{})
	for _, quirk := range front.Quirks() {
		t.Run(quirk.Name, func(t *testing.T) {
			t.Parallel()
			odd := front.For(t, reg, quirk)
			useRegistry(t, odd.Host+"/"+strings.ToLower(strings.Trim(strings.NewReplacer(" ", "-", ",", "").Replace(quirk.Name), "-")), accountOptions(t, odd.Host, quirk.Account))
		})
	}
}

func accountOptions(t *testing.T, host string, account bool) Options {
	t.Helper()
	opts := Options{DockerConfig: t.TempDir()}
	if account {
		writeFile(t, filepath.Join(opts.DockerConfig, "config.json"), `{"auths": {"`+host+`": {"auth": "`+basic(front.RobotUser, front.RobotPassword)+`"}}}`)
	}
	return opts
}

// useRegistry pushes two images that share a layer, asks for them in every way that
// there is, and pulls one.
func useRegistry(t *testing.T, prefix string, opts Options) {
	t.Helper()
	shared := imagestest.NewLayer(t, 100_000)
	s := imagestest.NewStore(t)
	ref, second := prefix+"/hello:1", prefix+"/other:1"
	desc := imagestest.Put(t, s, ref, imagestest.NewImage(t, shared))
	imagestest.Put(t, s, second, imagestest.NewImage(t, shared))
	c := newClient(t, opts)
	fixture.Must(t, c.MayPush(t.Context(), ref))
	pushed, err := c.Push(t.Context(), s, ref)
	fixture.Must(t, err)
	if pushed.Unchanged || pushed.Sent == 0 {
		t.Errorf("the first push: %+v", pushed)
	}
	pushed, err = newClient(t, opts).Push(t.Context(), s, second)
	fixture.Must(t, err)
	if pushed.Sent == 0 || pushed.Sent+pushed.Mounted+pushed.Present < 100_000 { // crane has one place for the blobs of all
		t.Errorf("the push to a second repository: %+v", pushed)
	}
	pushed, err = newClient(t, opts).Push(t.Context(), s, ref)
	fixture.Must(t, err)
	if pushed.Sent != 0 {
		t.Errorf("the same push again: %+v", pushed)
	}
	if _, err := c.Head(t.Context(), prefix+"/hello:none"); !fixture.Is[*NotFoundError](err) && !fixture.Is[*AuthError](err) {
		t.Errorf("a tag that is not there: %v", err)
	}
	got, err := c.Head(t.Context(), ref)
	if !fixture.Is[*AuthError](err) { // of HEAD answered 403 nothing more can be known
		fixture.Must(t, err)
		if got.Digest != desc.Digest || got.Size != desc.Size || got.MediaType != desc.MediaType {
			t.Errorf("Head: %+v, want %+v", got, desc)
		}
	}
	known, err := c.Ask(t.Context(), ref)
	fixture.Must(t, err)
	if known.Descriptor.Digest != desc.Digest || known.Descriptor.MediaType != types.OCIManifestSchema1 {
		t.Errorf("Ask: %+v", known.Descriptor)
	}
	fixture.Must(t, c.Tag(t.Context(), known, prefix+"/hello:2"))
	_, err = c.Attach(t.Context(), ref, known.Descriptor, note("one"))
	fixture.Must(t, err)
	if _, err := newClient(t, opts).Attach(t.Context(), second, known.Descriptor, note("one")); err != nil {
		t.Errorf("attaching what another repository has: %v", err)
	}
	all, err := newClient(t, opts).Referrers(t.Context(), ref, known.Descriptor.Digest.String(), "")
	if err != nil || len(all) != 1 {
		t.Errorf("attached: %v, %v", all, err)
	}
	_, err = c.Describe(t.Context(), prefix+"/hello:2")
	fixture.Must(t, err)
	to := imagestest.NewStore(t)
	_, err = newClient(t, opts).Pull(t.Context(), prefix+"/hello:2", to, schema.Platform{})
	fixture.Must(t, err)
	imagestest.Verify(t, to, prefix+"/hello:2")
}
