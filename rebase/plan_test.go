package rebase_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/internal/servers"
	"fnb/rebase"
	"fnb/registry/whole"
	"fnb/schema/rebaseplan"
	"fnb/schema/words"
)

// planned is what a new plan says of a reference.
func (f *fleet) planned(t *testing.T, ref string) rebaseplan.Image {
	t.Helper()
	p := &rebase.Planner{Registry: newClient(t), Bases: []string{f.Base}, Version: "1"}
	plan, err := p.Plan(t.Context(), []rebase.Subject{{Reference: ref}})
	if err != nil {
		t.Fatal(err)
	}
	return plan.Images[0]
}

func (f *fleet) read(t *testing.T, ref string) *whole.Image {
	t.Helper()
	w, err := whole.Read(t.Context(), f.client, ref)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// edited puts the image of the first platform under another name, with another configuration.
func (f *fleet) edited(t *testing.T, name string, edit func(*ocispecs.Image)) (ref string) {
	t.Helper()
	w := f.read(t, f.Images[0])
	repository, _, _ := strings.Cut(w.Pinned, "@")
	var config ocispecs.Image
	var manifest ocispecs.Manifest
	if err := json.Unmarshal(w.Parts[0].Config, &config); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(w.Parts[0].Manifest, &manifest); err != nil {
		t.Fatal(err)
	}
	edit(&config)
	raw, err := json.Marshal(config)
	sorted := map[string]json.RawMessage{}
	if err == nil {
		err = json.Unmarshal(raw, &sorted)
	}
	if err == nil {
		raw, err = json.Marshal(sorted) // as BuildKit's exporter writes it
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := f.client.PutBlob(t.Context(), repository, raw); err != nil {
		t.Fatal(err)
	}
	manifest.Annotations = config.Config.Labels
	manifest.Config.Digest, manifest.Config.Size = digest.FromBytes(raw), int64(len(raw))
	if raw, err = json.MarshalIndent(manifest, "", "  "); err != nil {
		t.Fatal(err)
	}
	ref = repository + ":" + name
	if err := f.client.PutManifest(t.Context(), types.OCIManifestSchema1, raw, ref); err != nil {
		t.Fatal(err)
	}
	return ref
}

// What cannot be proven of an image is to be built, and it is said why.
func TestUnproven(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	for name, c := range map[string]struct {
		edit func(*ocispecs.Image)
		why  string
	}{
		"foreign": {func(c *ocispecs.Image) {
			delete(c.Config.Labels, words.LabelTemplate)
		}, "it was not made by fnb"},
		"classless": {func(c *ocispecs.Image) {
			delete(c.Config.Labels, words.LabelClass)
		}, "it was made by an fnb that did not say how its layers came to be"},
		"ran": {func(c *ocispecs.Image) {
			c.Config.Labels[words.LabelClass] = words.ClassRun
		}, "a step ran in its base image, and what that left may depend on it"},
		"beside": {func(c *ocispecs.Image) {
			c.RootFS.DiffIDs[0] = c.RootFS.DiffIDs[1]
		}, "the old base image is not underneath: its layers are not those at the bottom"},
		"squashed": {func(c *ocispecs.Image) {
			c.History = c.History[1:]
		}, "its history does not begin with that of the old base image, or does not account for the layers"},
		"robbed": {func(c *ocispecs.Image) {
			c.Config.Env = c.Config.Env[1:]
		}, "it has lost the variable PATH of its base image"},
		"otherwise": {func(c *ocispecs.Image) {
			c.Config.Labels[words.LabelLayers] = "base=3,packages=2,handler=1"
		}, "the image says that another number of its layers is of its base image"},
	} {
		got := f.planned(t, f.edited(t, name, c.edit))
		if got.Action != rebaseplan.Rebuild || got.Why != c.why || got.Becomes != "" {
			t.Errorf("%s: %s: %q, want %q", name, got.Action, got.Why, c.why)
		}
	}
}

// An index that says more than which image is for which platform is left: what it says is of what would be replaced.
func TestIndexWithMore(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	w := f.read(t, f.Images[0])
	var index ocispecs.Index
	if err := json.Unmarshal(w.Raw, &index); err != nil {
		t.Fatal(err)
	}
	said := index.Manifests[0]
	said.Platform = &ocispecs.Platform{OS: "unknown", Architecture: "unknown"}
	said.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": said.Digest.String()}
	index.Manifests = append(index.Manifests, said)
	raw, err := json.MarshalIndent(index, "", "  ")
	if err == nil {
		err = f.client.PutManifest(t.Context(), types.OCIImageIndex, raw, f.Images[0]+"-attested")
	}
	if err != nil {
		t.Fatal(err)
	}
	got := f.planned(t, f.Images[0]+"-attested")
	if got.Action != rebaseplan.Rebuild || !strings.HasPrefix(got.Why, "its index holds more than an image for each platform") {
		t.Errorf("%+v", got)
	}
}

// A plan is carried out with the base image that it names, wherever the tag leads by then. Without the one before nothing
// can be proven.
func TestBaseMoves(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	if err := f.Patch(t.Context(), "3.0.16"); err != nil {
		t.Fatal(err)
	}
	f.apply(t, f.applier(t), rebase.Summary{Done: 2})
	for _, ref := range f.Images {
		if !bytes.Contains(f.read(t, ref).Parts[0].Config, []byte(f.plan.Bases[0].Digest)) {
			t.Errorf("%s has another base image than the plan", ref)
		}
	}
	// The registry has lost the one before.
	heal := f.reg.Fail(servers.Fault{Method: "GET", Path: regexp.MustCompile(`/base/manifests/` + f.plan.Bases[0].Digest), Status: 404})
	if got := f.planned(t, f.Images[0]); got.Action != rebaseplan.Rebuild || !strings.HasPrefix(got.Why, "its own base image cannot be read: ") {
		t.Errorf("%+v", got)
	}
	heal()
	// A plan that waits while the new one goes changes nothing.
	f.plan.Images = nil
	p := &rebase.Planner{Registry: newClient(t), Bases: []string{f.Base}, Version: "1"}
	plan, err := p.Plan(t.Context(), f.subjects)
	if err == nil {
		f.file += "2"
		err = plan.Write(f.file)
	}
	if err != nil {
		t.Fatal(err)
	}
	was := f.digest(t, f.Images[0])
	heal = f.reg.Fail(servers.Fault{Method: "GET", Path: regexp.MustCompile(`/base/manifests/` + plan.Bases[0].Digest), Status: 404})
	a := f.applier(t)
	a.MaxFailures = 9
	f.apply(t, a, rebase.Summary{Failed: 1, Left: 1})
	heal()
	if is := f.digest(t, f.Images[0]); is != was {
		t.Errorf("%s", is)
	}
	f.apply(t, f.applier(t), rebase.Summary{Done: 2})
}

// A registry that takes nothing over from another repository is sent the layers, once each.
func TestWithoutMounts(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{})
	to, err := url.Parse(reg.URL)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
		q := r.Out.URL.Query()
		q.Del("mount")
		q.Del("from")
		r.Out.URL.RawQuery = q.Encode()
	}})
	t.Cleanup(front.Close)
	f := newFleetAt(t, 2, reg, strings.TrimPrefix(front.URL, "http://"))
	a := f.applier(t)
	sum, err := a.Apply(t.Context())
	if err != nil || sum.Done != 2 || sum.Failed != 0 || sum.Mounted != 0 || sum.Sent == 0 {
		t.Errorf("%+v, %v", sum, err)
	}
	for _, ref := range f.Images {
		if f.digest(t, ref) == f.before[ref] {
			t.Errorf("%s stays", ref)
		}
	}
	if sum, err := f.applier(t).Undo(t.Context()); err != nil || sum.Done != 2 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// fnb's watchdog is replaced where it is the layer at the top, whatever is below it.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	own, err := rebase.OwnWatchdogs()
	if err != nil {
		t.Fatal(err)
	}
	watched := func(layers, class string) func(*ocispecs.Image) {
		return func(c *ocispecs.Image) {
			c.Config.Labels[words.LabelWatchdog], c.Config.Labels[words.LabelLayers], c.Config.Labels[words.LabelClass] = words.WatchdogDefault, layers, class
		}
	}
	var subjects []rebase.Subject
	for name, edit := range map[string]func(*ocispecs.Image){
		"old":    watched("base=4,packages=1,watchdog=1", words.ClassRun),
		"below":  watched("base=4,watchdog=1,handler=1", words.ClassCopy),
		"theirs": func(*ocispecs.Image) {},
	} {
		subjects = append(subjects, rebase.Subject{Reference: f.edited(t, name, edit)})
	}
	p := &rebase.Planner{Registry: newClient(t), Watchdogs: own, Version: "1"}
	plan, err := p.Plan(t.Context(), subjects)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range plan.Images {
		want := map[string]string{
			"old": "rebase its watchdog is a layer of its own", "below": "rebuild its watchdog is not the one layer at the top", "theirs": "nothing its watchdog is not fnb's",
		}[i.Tags[0]]
		if got := string(i.Action) + " " + i.Why; got != want {
			t.Errorf("%s: %s, want %s", i.Name(), got, want)
		}
	}
	f.file += "2"
	if err := plan.Write(f.file); err != nil {
		t.Fatal(err)
	}
	a := f.evident(t, all())
	a.Watchdogs = own
	f.apply(t, a, rebase.Summary{Done: 1})
	ref := strings.TrimSuffix(f.Images[0], ":1") + ":old"
	var m ocispecs.Manifest
	if err := json.Unmarshal(f.read(t, ref).Parts[0].Manifest, &m); err != nil || m.Layers[len(m.Layers)-1].Digest != own["linux/amd64"].Digest {
		t.Errorf("%+v, %v", m.Layers, err)
	}
	if got, err := p.Plan(t.Context(), []rebase.Subject{{Reference: ref}}); err != nil || got.Images[0].Why != "it has the new watchdog" {
		t.Errorf("%+v, %v", got.Images, err)
	}
	if sum, err := f.applier(t).Undo(t.Context()); err != nil || sum.Done != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
}
