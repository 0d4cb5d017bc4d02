package rebase_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/internal/servers"
	"fnb/rebase"
	"fnb/rebase/rebasetest"
	"fnb/registry"
	"fnb/registry/whole"
	"fnb/schema/rebaseplan"
	"fnb/schema/words"
)

// A fleet is functions on a base image that was patched since they were built.
type fleet struct {
	*rebasetest.Fleet
	reg      *servers.Registry
	client   *registry.Client
	file     string // of the plan
	subjects []rebase.Subject
	before   map[string]string // digests by reference
	plan     *rebaseplan.Plan
}

func newFleet(t *testing.T, count int) *fleet {
	t.Helper()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	return newFleetAt(t, count, reg, reg.Host)
}

// newFleetAt has the images at a host that leads to a registry.
func newFleetAt(t *testing.T, count int, reg *servers.Registry, host string) *fleet {
	t.Helper()
	f := &fleet{reg: reg, file: filepath.Join(t.TempDir(), "plan.json"), before: map[string]string{}}
	f.client = newClient(t)
	var err error
	if f.Fleet, err = rebasetest.Push(t.Context(), f.client, host+"/team", count); err != nil {
		t.Fatal(err)
	}
	for _, ref := range f.Images {
		f.subjects = append(f.subjects, rebase.Subject{Reference: ref})
		f.before[ref] = f.digest(t, ref)
	}
	if err := f.Patch(t.Context(), "3.0.15"); err != nil {
		t.Fatal(err)
	}
	p := &rebase.Planner{Registry: f.client, Bases: []string{f.Base}, Version: "1"}
	if f.plan, err = p.Plan(t.Context(), f.subjects); err != nil {
		t.Fatal(err)
	}
	if err := f.plan.Write(f.file); err != nil {
		t.Fatal(err)
	}
	return f
}

func newClient(t *testing.T) *registry.Client {
	t.Helper()
	c, err := registry.New(registry.Options{Anonymous: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (f *fleet) digest(t *testing.T, ref string) string {
	t.Helper()
	d, err := f.client.Head(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return d.Digest.String()
}

// applier is one that has the plan from its file, as another process has it.
func (f *fleet) applier(t *testing.T) *rebase.Applier {
	t.Helper()
	plan, err := rebaseplan.Read(f.file, "1")
	if err != nil {
		t.Fatal(err)
	}
	j, err := rebaseplan.OpenJournal(f.file, plan)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return &rebase.Applier{Registry: newClient(t), Plan: plan, Journal: j}
}

func (f *fleet) apply(t *testing.T, a *rebase.Applier, want rebase.Summary) {
	t.Helper()
	if a.Each == nil {
		a.Each = func(o rebase.Outcome) {
			if o.Err != nil {
				t.Logf("%s: %v", o.Image.Name(), o.Err)
			}
		}
	}
	got, err := a.Apply(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Done != want.Done || got.Before != want.Before || got.Failed != want.Failed || got.Left != want.Left {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Two functions of one base image get the new one, on all platforms, and are taken back.
func TestApply(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	if len(f.plan.Bases) != 1 || strings.Join(f.plan.Bases[0].Changes, "; ") != "libssl3 3.0.14 becomes 3.0.15" {
		t.Errorf("%+v", f.plan.Bases)
	}
	for _, i := range f.plan.Images {
		if i.Action != rebaseplan.Rebase || i.Inputs == "" || len(i.Platforms) != 2 {
			t.Fatalf("%+v", i)
		}
		want := f.Inputs[i.Name()]
		want[0].Value = i.Base.To
		if i.Inputs != want.Digest() {
			t.Errorf("the inputs become %s, want %s", i.Inputs, want.Digest())
		}
	}
	f.reg.Requests()
	f.apply(t, f.applier(t), rebase.Summary{Done: 2})
	sent := f.reg.Requests()
	for _, r := range sent {
		if r.Method == "GET" && strings.Contains(r.Path, "/blobs/") && !strings.Contains(r.Path, "/team/f") && !strings.Contains(r.Path, "/base/") {
			t.Errorf("%+v", r)
		}
	}
	for n, ref := range f.Images {
		w, err := whole.Read(t.Context(), f.client, ref)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range w.Parts {
			var config struct{ ocispecs.Image }
			if err := json.Unmarshal(p.Config, &config); err != nil {
				t.Fatal(err)
			}
			l := config.Config.Labels
			// Nobody has built one of them again, so it is not said what it was made of.
			if l[words.LabelBaseDigest] != f.plan.Bases[0].Digest || l[words.LabelInput] != "" || len(config.RootFS.DiffIDs) != 6 {
				t.Errorf("%s: %v", f.Images[n], l)
			}
		}
	}
	f.apply(t, f.applier(t), rebase.Summary{Before: 2})
	if sum, err := f.applier(t).Undo(t.Context()); err != nil || sum.Done != 2 || sum.Failed != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
	for ref, was := range f.before {
		if is := f.digest(t, ref); is != was {
			t.Errorf("%s is %s, and was %s", ref, is, was)
		}
	}
	f.apply(t, f.applier(t), rebase.Summary{Done: 2})
}

// What a build of the first of a class gives decides what all of it say of themselves.
func TestProven(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3)
	var smoked, built atomic.Int32
	for what, rebuilt := range map[string]func(*rebaseplan.Image) (string, error){
		"equal":     func(i *rebaseplan.Image) (string, error) { return i.Becomes, nil },
		"different": func(*rebaseplan.Image) (string, error) { return "sha256:00", nil },
		"unknown":   func(*rebaseplan.Image) (string, error) { return "", nil },
		"broken":    func(*rebaseplan.Image) (string, error) { return "", errors.New("no source") },
	} {
		smoked.Store(0)
		built.Store(0)
		a := f.applier(t)
		a.Smoke = func(context.Context, *rebaseplan.Image, string) error { smoked.Add(1); return nil }
		a.Rebuild = func(_ context.Context, i *rebaseplan.Image) (string, error) { built.Add(1); return rebuilt(i) }
		notes := 0
		a.Each = func(o rebase.Outcome) {
			notes += len(o.Notes)
			if (o.Becomes == o.Image.Becomes) != (what == "equal") {
				t.Errorf("%s: %s becomes %s, and the plan says %s", what, o.Image.Name(), o.Becomes, o.Image.Becomes)
			}
		}
		f.apply(t, a, rebase.Summary{Done: 3})
		if smoked.Load() != 1 || built.Load() != 1 || (notes == 1) != (what == "different" || what == "broken") {
			t.Errorf("%s: tested %d, built %d, notes %d", what, smoked.Load(), built.Load(), notes)
		}
		if sum, err := f.applier(t).Undo(t.Context()); err != nil || sum.Done != 3 {
			t.Fatalf("%s: %+v, %v", what, sum, err)
		}
	}
	each := f.applier(t)
	smoked.Store(0)
	each.Smoke, each.All = func(context.Context, *rebaseplan.Image, string) error { smoked.Add(1); return nil }, true
	f.apply(t, each, rebase.Summary{Done: 3})
	if sum, err := f.applier(t).Undo(t.Context()); err != nil || sum.Done != 3 || smoked.Load() != 3 {
		t.Fatalf("%+v, %v, tested %d", sum, err, smoked.Load())
	}
	a := f.applier(t)
	a.Smoke = func(context.Context, *rebaseplan.Image, string) error { return errors.New("it does not answer") }
	a.MaxFailures = 9
	f.apply(t, a, rebase.Summary{Failed: 1, Left: 2})
	for ref, was := range f.before {
		if is := f.digest(t, ref); is != was {
			t.Errorf("%s was moved although the first of its class failed", ref)
		}
	}
}

// Wherever it is ended, a tag names the old image or the new one, and the next run does what is left.
func TestKilled(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 6)
	becomes := map[string]string{}
	for range 10 {
		ctx, kill := context.WithTimeout(t.Context(), time.Duration(rand.N(60)+5)*time.Millisecond)
		a := f.applier(t)
		a.Parallel = 3
		a.Each = func(o rebase.Outcome) { becomes[o.Image.Name()] = o.Becomes }
		_, _ = a.Apply(ctx)
		kill()
		for ref, was := range f.before {
			is := f.digest(t, ref)
			last, _ := a.Journal.Last(strings.TrimSuffix(ref, ":1") + "@" + was)
			if is != was && is != last.Becomes {
				t.Errorf("%s is %s: neither %s nor %s", ref, is, was, last.Becomes)
			}
			if is != was {
				if _, err := whole.Read(t.Context(), f.client, ref); err != nil {
					t.Errorf("%s is not whole: %v", ref, err)
				}
			}
		}
	}
	a := f.applier(t)
	done := 0
	for _, i := range a.Plan.Images {
		if last, ok := a.Journal.Last(i.Reference()); ok && last.State == rebaseplan.Done {
			done++
		}
	}
	f.reg.Requests()
	f.apply(t, a, rebase.Summary{Done: 6 - done, Before: done})
	// A journal whose last line was cut off is read up to there.
	file, err := os.ReadFile(f.file + ".journal")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.file+".journal", file[:len(file)-7], 0o600); err != nil {
		t.Fatal(err)
	}
	f.apply(t, f.applier(t), rebase.Summary{Done: 1, Before: 5})
	if sum, err := f.applier(t).Undo(t.Context()); err != nil || sum.Done != 6 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// Registries are obeyed, and do what they can.
func TestRegistries(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 4)
	heal := f.reg.Fail(
		servers.Fault{Method: "PUT", Path: regexp.MustCompile(`/f001/manifests/`), Status: 429, RetryAfter: 1, Times: 2},
		servers.Fault{Method: "GET", Path: regexp.MustCompile(`/f002/manifests/`), Status: 503, Times: 2},
		servers.Fault{Method: "POST", Path: regexp.MustCompile(`/f003/blobs/uploads/`), Status: 500, Times: 1},
	)
	f.apply(t, f.applier(t), rebase.Summary{Done: 4})
	heal()
	// One that has lost a tag's image says so, and the rest is taken back.
	heal = f.reg.Fail(servers.Fault{Method: "GET", Path: regexp.MustCompile(`/f001/manifests/sha256:`), Status: 404})
	if sum, err := f.applier(t).Undo(t.Context()); err != nil || sum.Done != 3 || sum.Failed != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	heal()
	if sum, err := f.applier(t).Undo(t.Context()); err != nil || sum.Done != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	// New tags beside the old ones, which this registry does not remove again.
	a := f.applier(t)
	a.TagSuffix = "-r1"
	f.apply(t, a, rebase.Summary{Done: 4})
	for ref, was := range f.before {
		if f.digest(t, ref) != was || f.digest(t, ref+"-r1") == was {
			t.Errorf("%s", ref)
		}
	}
	heal = f.reg.Fail(servers.Fault{Method: "DELETE", Path: regexp.MustCompile(`/manifests/`), Status: 405})
	if sum, err := f.applier(t).Undo(t.Context()); err != nil || sum.Failed != 4 {
		t.Errorf("%+v, %v", sum, err)
	}
	heal()
	// A manifest that is listed and not there is no reason to stop.
	f.reg.Fail(servers.Fault{Method: "GET", Path: regexp.MustCompile(`/f000/manifests/sha256:`), Status: 404})
	p := &rebase.Planner{Registry: newClient(t), Bases: []string{f.Base}, Version: "1"}
	plan, err := p.Plan(t.Context(), f.subjects)
	if err != nil {
		t.Fatal(err)
	}
	if i := plan.Images[0]; i.Action != rebaseplan.Nothing || !strings.HasPrefix(i.Why, "it cannot be read: ") {
		t.Errorf("%+v", i)
	}
}

// A function costs few requests, and no layer is fetched or sent; also where it is said of each how it was made, and what
// is in it.
func TestRequests(t *testing.T) {
	t.Parallel()
	const count = 10
	f := newFleet(t, count)
	for what, most := range map[string]float64{"nothing": 9, "evidence": 22} {
		a := f.applier(t)
		if what == "evidence" {
			a = f.evident(t, all())
		}
		f.reg.Requests()
		sum, err := a.Apply(t.Context())
		if err != nil || sum.Sent != 0 {
			t.Errorf("%+v, %v", sum, err)
		}
		sent := f.reg.Requests()
		own := 0
		for _, r := range sent {
			if strings.Contains(r.Path, "/team/f") {
				own++
			}
			if r.Method == "PATCH" {
				t.Errorf("%+v", r)
			}
		}
		if each := float64(own) / count / 2; each > most {
			t.Errorf("%s: %.1f requests a function and platform", what, each)
		} else {
			t.Logf("%s: %.1f requests a function and platform, %d for the base images", what, each, len(sent)-own)
		}
		if sum, err := f.applier(t).Undo(t.Context()); err != nil || sum.Done != count {
			t.Errorf("%+v, %v", sum, err)
		}
	}
}
