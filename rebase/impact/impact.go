// Package impact says which images have something, and what can be done about it: [Finder.Find].
package impact

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"fnb/images"
	"fnb/internal/once"
	"fnb/pipeline/contents"
	"fnb/rebase"
	"fnb/registry"
	"fnb/registry/whole"
	"fnb/sbom"
	"fnb/schema"
	"fnb/schema/rebaseplan"
	"fnb/schema/words"
)

// A Finder finds images that have something.
type Finder struct {
	Registry  *registry.Client
	Contents  *contents.Finder
	Places    func(ref schema.ImageRef) []string // as of a [rebase.Planner]
	Watchdogs map[string]rebase.WatchdogLayer    // those of this fnb
	Version   string                             // of fnb

	mu     sync.Mutex
	hits   []*hit
	unread []error          // images that could not be looked at
	bases  map[string]error // base images of hits: why they cannot be read; nil is that they can
	// inBase is what was looked for in base images, by reference and platform; nil where it is not there.
	inBase once.Map[string, *sbom.Package]
}

// A Hit is an image that has what was looked for.
type Hit struct {
	Function  string            `json:"function,omitempty"`
	Image     string            `json:"image"`
	Digest    string            `json:"digest"`
	Platforms []string          `json:"platforms"` // those that have it
	Has       string            `json:"has"`
	Action    rebaseplan.Action `json:"action"`
	Why       string            `json:"why"`

	subject rebase.Subject
}

// A hit is one with what is needed to decide about it.
type hit struct {
	Hit
	base, from string        // base image and its digest
	part       whole.Part    // the first that has it
	found      *sbom.Package // of which package
	step       bool          // a step of its build is made of the base image, and not the image
}

const atOnce = 8

// Find looks at images. Unread is of each that could not be looked at, why; it does not end the search.
func (f *Finder) Find(ctx context.Context, q Query, subjects []rebase.Subject) (hits []Hit, unread []error, err error) {
	f.hits, f.unread, f.bases = nil, nil, map[string]error{}
	f.inBase.Forget()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, s := range subjects {
		g.Go(func() error {
			h, err := f.look(gctx, q, s)
			if gctx.Err() != nil {
				return gctx.Err()
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if err != nil {
				f.unread = append(f.unread, err)
			} else if h != nil {
				f.hits = append(f.hits, h)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	slices.SortFunc(f.hits, func(a, b *hit) int { return cmp.Compare(a.Image, b.Image) })
	if err := f.decide(ctx, q); err != nil {
		return nil, nil, err
	}
	for _, h := range f.hits {
		hits = append(hits, h.Hit)
	}
	slices.SortFunc(f.unread, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return hits, f.unread, nil
}

// look looks at one image; nil is that it has not what is looked for.
func (f *Finder) look(ctx context.Context, q Query, s rebase.Subject) (*hit, error) {
	w, err := whole.Read(ctx, f.Registry, s.Reference)
	if err != nil {
		return nil, err
	}
	s.Image = w
	h := &hit{Hit: Hit{Function: s.Function, Image: s.Reference, Digest: w.Descriptor.Digest.String(), subject: s}}
	for _, part := range w.Parts {
		var config ocispecs.Image
		if err := json.Unmarshal(part.Config, &config); err != nil {
			return nil, fmt.Errorf("%s: reading its configuration: %w", s.Reference, err)
		}
		has, err := f.has(ctx, q, h, w, part, config)
		if err != nil {
			return nil, err
		}
		if has == "" {
			continue
		}
		if h.Has == "" {
			h.Has, h.part = has, part
			h.base, h.from = config.Config.Labels[words.LabelBaseName], config.Config.Labels[words.LabelBaseDigest]
		}
		h.Platforms = append(h.Platforms, images.PlatformOf(part.Descriptor).String())
	}
	if h.Has == "" {
		return nil, nil //nolint:nilnil // it has not
	}
	return h, nil
}

// has is what the image of a platform has of what is looked for, in words; "" is nothing.
func (f *Finder) has(ctx context.Context, q Query, h *hit, w *whole.Image, part whole.Part, config ocispecs.Image) (string, error) {
	labels := config.Config.Labels
	switch q.Kind {
	case Base:
		name := labels[words.LabelBaseName]
		if q.isBase(name, labels[words.LabelBaseDigest]) {
			return name, nil
		}
		in, err := rebase.InputsOf(ctx, f.Registry, w, labels[words.LabelInput])
		if err != nil {
			return "", err
		}
		for _, e := range in {
			if ref, ok := strings.CutPrefix(e.Name, "base "); ok && q.isBase(ref, e.Value) {
				h.step = true
				return ref, nil
			}
		}
	case Template:
		name, version, _ := strings.Cut(labels[words.LabelTemplate], "@")
		if name == q.Name && q.holds("npm", version) {
			return labels[words.LabelTemplate], nil
		}
	case Watchdog:
		return f.watchdog(q, part, labels), nil
	case Package:
		of, err := f.Registry.Open(ctx, strings.Split(w.Pinned, "@")[0]+"@"+part.Descriptor.Digest.String(), schema.Platform{})
		if err != nil {
			return "", err
		}
		return f.packaged(ctx, q, h, of)
	}
	return "", nil
}

// packaged is the first package of an image that is meant.
func (f *Finder) packaged(ctx context.Context, q Query, h *hit, of *registry.Contents) (string, error) {
	in, err := f.Contents.In(ctx, of)
	if err != nil {
		return "", err
	}
	p := meant(q, in.Packages)
	if p == nil {
		return "", nil
	}
	if h.found == nil {
		h.found = p
	}
	return p.Name + " " + p.Version, nil
}

// meant is the first package that a query is about; by its own name, or that of what it is built from.
func meant(q Query, all []sbom.Package) *sbom.Package {
	for i := range all {
		p := &all[i]
		if (p.Name == q.Name || p.Source.Name == q.Name) && q.holds(p.Ecosystem, p.Version) {
			return p
		}
	}
	return nil
}

// watchdog is which watchdog an image has, if that is meant.
func (f *Finder) watchdog(q Query, part whole.Part, labels map[string]string) string {
	has := labels[words.LabelWatchdog]
	if has != words.WatchdogDefault {
		if _, version, ok := strings.Cut(has, ":"); has != "" && (q.Name == has || q.Name == "" && ok && q.holds("npm", version)) {
			return has
		}
		return ""
	}
	var m ocispecs.Manifest
	if err := json.Unmarshal(part.Manifest, &m); err != nil || len(m.Layers) == 0 {
		return ""
	}
	layer := m.Layers[len(m.Layers)-1].Digest.String()
	own := f.Watchdogs[images.PlatformOf(part.Descriptor).String()]
	if q.Name == layer || q.Name == words.WatchdogDefault && layer != own.Digest.String() {
		return "fwatchdog " + layer[:min(len(layer), len("sha256:")+12)]
	}
	return ""
}

// decide says what can be done about each image.
func (f *Finder) decide(ctx context.Context, q Query) error {
	if q.Kind == Template {
		for _, h := range f.hits {
			h.Action, h.Why = rebaseplan.Rebuild, "another version of a template is another image: fnb update moves the pin"
		}
		return nil
	}
	p := &rebase.Planner{Registry: f.Registry, Places: f.Places, Version: f.Version}
	if q.Kind == Watchdog {
		p.Watchdogs = f.Watchdogs
	} else {
		p.Bases = f.readable(ctx)
	}
	var subjects []rebase.Subject
	for _, h := range f.hits {
		subjects = append(subjects, h.subject)
	}
	plan, err := p.Plan(ctx, subjects)
	if err != nil {
		return err
	}
	of := map[string]*rebaseplan.Image{}
	for i := range plan.Images {
		of[plan.Images[i].Digest] = &plan.Images[i]
	}
	for _, h := range f.hits {
		if h.Action, h.Why = of[h.Digest].Action, of[h.Digest].Why; h.step {
			h.Action, h.Why = rebaseplan.Rebuild, "a step of its build is made of it"
		} else if err := f.bases[h.base]; err != nil {
			h.Action, h.Why = rebaseplan.Rebuild, "its base image cannot be read: "+err.Error()
		}
		if q.Kind == Package {
			if err := f.decidePackage(ctx, q, h); err != nil {
				return err
			}
		}
	}
	return nil
}

// readable are the base images of what was found that can be read.
func (f *Finder) readable(ctx context.Context) (all []string) {
	for _, h := range f.hits {
		if _, asked := f.bases[h.base]; asked || h.base == "" || h.step {
			continue
		}
		_, err := f.place(ctx, h.base)
		if f.bases[h.base] = err; err == nil {
			all = append(all, h.base)
		}
	}
	return all
}

// place is the first place that has an image.
func (f *Finder) place(ctx context.Context, text string) (string, error) {
	ref, err := schema.ParseImageRef(text)
	if err != nil {
		return "", err
	}
	places := []string{text}
	if f.Places != nil {
		places = f.Places(ref.Exact())
	}
	var errs []error
	for _, place := range places {
		_, err := f.Registry.Head(ctx, place)
		if err == nil {
			return place, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// decidePackage says whether a package is of the base image, and whether the newest one has it too.
func (f *Finder) decidePackage(ctx context.Context, q Query, h *hit) error {
	below, err := f.below(ctx, q, h, h.base+"@"+h.from)
	if err != nil || below == nil {
		h.Action, h.Why = rebaseplan.Rebuild, "it is above the base image: its package list or a step of its build brings it"
		return ctx.Err()
	}
	above, err := f.below(ctx, q, h, h.base)
	switch {
	case err != nil:
		h.Why = "its base image brings it, of which the newest cannot be read"
	case above != nil:
		h.Action, h.Why = rebaseplan.Nothing, "its base image brings it, and the newest "+h.base+" has "+above.Version
	case h.Action == rebaseplan.Rebase:
		h.Why = "its base image brings it, and the newest has none of these"
	}
	return ctx.Err()
}

// below is the package in a base image, of the platform of a hit; nil where it is not there.
func (f *Finder) below(ctx context.Context, q Query, h *hit, ref string) (*sbom.Package, error) {
	platform := images.PlatformOf(h.part.Descriptor)
	return f.inBase.Get(ctx, ref+" "+platform.String(), func() (*sbom.Package, error) { return f.search(ctx, q, ref, platform) })
}

func (f *Finder) search(ctx context.Context, q Query, ref string, platform schema.Platform) (*sbom.Package, error) {
	at, err := f.place(ctx, ref)
	if err != nil {
		return nil, err
	}
	of, err := f.Registry.Open(ctx, at, platform)
	if err != nil {
		return nil, err
	}
	in, err := f.Contents.In(ctx, of)
	if err != nil {
		return nil, err
	}
	return meant(q, in.Packages), nil
}
