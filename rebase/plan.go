package rebase

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	digest "github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"fnb/registry"
	"fnb/registry/whole"
	"fnb/sbom/scan"
	"fnb/schema"
	"fnb/schema/rebaseplan"
	"fnb/schema/words"
)

// A Subject is an image that is looked at.
type Subject struct {
	Function  string // its name in the stack file; "" is not known
	Reference string
	Image     *whole.Image // what it names, if that was read; nil is not yet
}

// A Planner decides what can be done with images. It changes nothing.
type Planner struct {
	Registry *registry.Client
	Bases    []string // references of base images that are replaced by what they name now, or by a digest that they have
	// Watchdogs take the place of fnb's own in images, by platform; none leaves them.
	Watchdogs map[string]WatchdogLayer
	// Places are the references under which a base image is looked for, such as those of mirrors; nil is its own.
	Places   func(ref schema.ImageRef) []string
	Version  string      // of fnb
	Parallel int         // images at a time; 0 is 8
	Layers   *scan.Cache // what was found in layers before; nil remembers nothing

	news  map[string]*base // by reference, with its tag
	shelf shelf
	mu    sync.Mutex
	plan  rebaseplan.Plan
	seen  map[string]int // places in plan.Images, by repository and digest
}

const atOnce = 8

// Plan looks at images. Two references of one image are one. That an image cannot be read does not end it: the plan
// says so. An error is one of the new base images'.
func (p *Planner) Plan(ctx context.Context, subjects []Subject) (*rebaseplan.Plan, error) {
	p.news, p.seen = map[string]*base{}, map[string]int{}
	p.shelf = shelf{client: p.Registry, places: p.Places, layers: cmp.Or(p.Layers, &scan.Cache{})}
	p.plan = rebaseplan.Plan{FNB: p.Version}
	for _, text := range p.Bases {
		ref, err := schema.ParseImageRef(text)
		if err != nil {
			return nil, err
		}
		b, err := p.shelf.read(ctx, ref)
		if err != nil {
			return nil, fmt.Errorf("reading the new base image %s: %w", text, err)
		}
		p.news[b.reference] = b
	}
	for platform, w := range p.Watchdogs {
		if p.plan.Watchdog == nil {
			p.plan.Watchdog = map[string]string{}
		}
		p.plan.Watchdog[platform] = w.Digest.String()
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(cmp.Or(p.Parallel, atOnce))
	for _, s := range subjects {
		g.Go(func() error { return p.look(gctx, s) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, ref := range slices.Sorted(maps.Keys(p.news)) {
		b := p.news[ref]
		p.plan.Bases = append(p.plan.Bases, rebaseplan.Base{Reference: b.reference, Digest: b.digest, Changes: p.changes(b)})
	}
	for i := range p.plan.Images {
		slices.Sort(p.plan.Images[i].Tags)
	}
	slices.SortFunc(p.plan.Images, func(a, b rebaseplan.Image) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Name(), b.Name()))
	})
	return &p.plan, nil
}

// changes are the packages that a new base image has in other versions than the first of the old ones that were
// looked into.
func (p *Planner) changes(to *base) []string {
	for _, old := range p.shelf.all() {
		if old.reference != to.reference {
			continue
		}
		for _, part := range old.whole.Parts {
			was := old.found[part.Descriptor.Digest.String()]
			now, err := to.part(*part.Descriptor.Platform)
			if err != nil {
				continue
			}
			if is := to.found[now.Descriptor.Digest.String()]; was != nil && is != nil {
				return changes(was, is)
			}
		}
	}
	return nil
}

// look looks at one image, unless another reference has led to it.
func (p *Planner) look(ctx context.Context, s Subject) error {
	ref, err := schema.ParseImageRef(s.Reference)
	if err != nil {
		return err
	}
	w := s.Image
	if w == nil {
		w, err = whole.Read(ctx, p.Registry, s.Reference)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e := rebaseplan.Image{Function: s.Function, Repository: ref.Name(), Tags: []string{}}
	if ref.Digest == "" {
		e.Tags = append(e.Tags, ref.Exact().Tag)
	}
	if err != nil {
		e.Action, e.Why = rebaseplan.Nothing, "it cannot be read: "+err.Error()
		p.add(e)
		return nil
	}
	e.Digest = w.Descriptor.Digest.String()
	if !p.first(&e) {
		return nil
	}
	p.judge(ctx, w, &e)
	p.mu.Lock()
	defer p.mu.Unlock()
	at := &p.plan.Images[p.seen[e.Reference()]]
	e.Tags = at.Tags // to which others may have been added
	*at = e
	return ctx.Err()
}

func (p *Planner) add(e rebaseplan.Image) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan.Images = append(p.plan.Images, e)
}

// first reports whether an image was not met yet, and notes its tags.
func (p *Planner) first(e *rebaseplan.Image) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, met := p.seen[e.Reference()]
	if !met {
		p.seen[e.Reference()] = len(p.plan.Images)
		p.plan.Images = append(p.plan.Images, *e)
		return true
	}
	for _, tag := range e.Tags {
		if !slices.Contains(p.plan.Images[at].Tags, tag) {
			p.plan.Images[at].Tags = append(p.plan.Images[at].Tags, tag)
		}
	}
	return false
}

// judge decides what is done with an image.
func (p *Planner) judge(ctx context.Context, w *whole.Image, e *rebaseplan.Image) {
	said := func(a rebaseplan.Action, why string, args ...any) { e.Action, e.Why = a, fmt.Sprintf(why, args...) }
	if len(w.Parts) == 0 {
		said(rebaseplan.Nothing, "it has no image for a platform")
		return
	}
	first, err := parse(w.Parts[0])
	if err != nil {
		said(rebaseplan.Rebuild, "%v", err)
		return
	}
	labels := first.config.Config.Labels
	e.Template = labels[words.LabelTemplate]
	name, from := labels[words.LabelBaseName], labels[words.LabelBaseDigest]
	to := p.news[name]
	if to == nil && !p.otherWatchdog(w, labels) {
		if len(p.news) == 0 && labels[words.LabelWatchdog] == words.WatchdogDefault {
			said(rebaseplan.Nothing, "it has the new watchdog")
			return
		}
		if len(p.news) == 0 {
			said(rebaseplan.Nothing, "its watchdog is not fnb's")
			return
		}
		said(rebaseplan.Nothing, "its base image is %s", cmp.Or(name, "not known"))
		return
	}
	if to != nil && to.digest == from && !p.otherWatchdog(w, labels) {
		said(rebaseplan.Nothing, "it has the new base image")
		return
	}
	if e.Template == "" || labels[words.LabelInput] == "" && labels[words.LabelClass] == "" {
		said(rebaseplan.Rebuild, "it was not made by fnb")
		return
	}
	c := change{planner: p, whole: w, to: to, labels: labels}
	if c.old, err = p.shelf.get(ctx, name, from); err != nil {
		said(rebaseplan.Rebuild, "its own base image cannot be read: %v", err)
		return
	}
	if c.to == nil {
		c.to = c.old // the watchdog alone
	}
	if err := c.prove(ctx); err != nil {
		said(rebaseplan.Rebuild, "%v", err)
		return
	}
	if err := c.write(ctx, e); err != nil {
		said(rebaseplan.Rebuild, "%v", err)
		return
	}
	why := "its layers are copied, and stand on the new base image as on the old one"
	if c.to == c.old {
		why = "its watchdog is a layer of its own"
	}
	said(rebaseplan.Rebase, "%s", why)
}

// otherWatchdog reports whether an image has a watchdog of fnb's that is not the new one.
func (p *Planner) otherWatchdog(w *whole.Image, labels map[string]string) bool {
	if len(p.Watchdogs) == 0 || labels[words.LabelWatchdog] != words.WatchdogDefault {
		return false
	}
	for _, part := range w.Parts {
		img, err := parse(part)
		if err != nil || len(img.manifest.Layers) == 0 {
			return false
		}
		newer, ok := p.Watchdogs[platformOf(*part.Descriptor.Platform)]
		if ok && img.manifest.Layers[len(img.manifest.Layers)-1].Digest != newer.Digest {
			return true
		}
	}
	return false
}

// A change is what is done to one image.
type change struct {
	planner *Planner
	whole   *whole.Image
	parts   []*parsed
	old, to *base
	labels  map[string]string // of the first platform
	swaps   []Swap            // of each
}

// prove is an error that says why replacing the base image is not proven to be safe.
func (c *change) prove(ctx context.Context) error {
	if len(c.whole.Others) > 0 {
		return errOthers
	}
	var err error
	if c.parts, err = parseAll(c.whole); err != nil {
		return err
	}
	for _, img := range c.parts {
		s, err := c.provePlatform(ctx, img)
		if err != nil {
			return err
		}
		c.swaps = append(c.swaps, s)
	}
	return nil
}

func (c *change) provePlatform(ctx context.Context, img *parsed) (s Swap, err error) {
	switch class := img.config.Config.Labels[words.LabelClass]; {
	case class == "":
		return s, errors.New("it was made by an fnb that did not say how its layers came to be")
	case class != words.ClassCopy && c.to != c.old:
		return s, errors.New("a step ran in its base image, and what that left may depend on it")
	}
	if s, err = c.swap(*img.Descriptor.Platform); err != nil {
		return s, err
	}
	if !s.Exact(img) {
		if _, err := (&Swap{Old: s.Old, New: s.Old}).Replace(img); err != nil {
			return s, err
		}
		return s, errors.New("it is not written as a build of this fnb writes it")
	}
	if c.to == c.old {
		return s, nil
	}
	return s, c.compatible(ctx, img, s)
}

// swap is what is replaced in the image of a platform.
func (c *change) swap(platform v1.Platform) (s Swap, err error) {
	if s.Old, err = c.old.part(platform); err != nil {
		return s, err
	}
	if s.New, err = c.to.part(platform); err != nil {
		return s, err
	}
	if w, ok := c.planner.Watchdogs[platformOf(platform)]; ok && c.labels[words.LabelWatchdog] == words.WatchdogDefault {
		s.Watchdog = &w
	}
	return s, nil
}

// compatible compares what is in the two base images.
func (c *change) compatible(ctx context.Context, img *parsed, s Swap) error {
	before, err := c.old.contents(ctx, s.Old)
	if err != nil {
		return err
	}
	after, err := c.to.contents(ctx, s.New)
	if err != nil {
		return err
	}
	old, to := s.Old, s.New
	extended := len(old.config.RootFS.DiffIDs) <= len(to.config.RootFS.DiffIDs) && slices.Equal(old.config.RootFS.DiffIDs, to.config.RootFS.DiffIDs[:len(old.config.RootFS.DiffIDs)])
	if before.System.ID == "" && after.System.ID == "" && !extended {
		return errors.New("nothing in the base images says of which distribution they are, and the new one is not the old one with more on top")
	}
	if err := compatible(before, after, old.config.Config.Env, to.config.Config.Env); err != nil {
		return err
	}
	return c.linked(ctx, img.Descriptor.Digest.String(), missing(before.Libraries, after.Libraries), len(old.config.RootFS.DiffIDs))
}

// write notes what the image becomes.
func (c *change) write(ctx context.Context, e *rebaseplan.Image) error {
	in, err := InputsOf(ctx, c.planner.Registry, c.whole, c.labels[words.LabelInput])
	if err != nil {
		return err
	}
	if in != nil {
		e.Inputs = moved(in, c.inputs()).Digest()
	}
	e.Class = strings.Join([]string{c.labels[words.LabelTemplate], c.labels[words.LabelTemplateChecksum], c.old.reference}, " ")
	if c.to != c.old {
		e.Base = &rebaseplan.Change{Reference: c.to.reference, From: c.old.digest, To: c.to.digest}
	}
	made, err := remake(c.whole, c.parts, c.swaps, newLabels(e.Inputs, e.Base))
	if err != nil {
		return err
	}
	e.Becomes = made.digest
	for i, part := range made.parts {
		e.Platforms = append(e.Platforms, rebaseplan.Platform{
			Platform: platformOf(*part.Descriptor.Platform), Digest: c.whole.Parts[i].Descriptor.Digest.String(), Becomes: part.Descriptor.Digest.String(),
		})
	}
	return nil
}

// inputs are the entries that differ.
func (c *change) inputs() map[string]string {
	now := map[string]string{"base " + c.to.reference: c.to.digest}
	if c.labels[words.LabelWatchdog] == words.WatchdogDefault {
		for platform, w := range c.planner.Watchdogs {
			now["watchdog "+platform] = w.Digest.String()
		}
	}
	return now
}

// newLabels are the labels that a replacement changes. Inputs that are not known, or not proven to be those of the image, are
// said of none.
func newLabels(inputs string, base *rebaseplan.Change) map[string]string {
	l := map[string]string{words.LabelInput: inputs}
	if base != nil {
		l[words.LabelBaseDigest] = base.To
	}
	return l
}

// A remade image is one that was replaced, and is written nowhere yet.
type remade struct {
	parts  []whole.Part
	raw    []byte // index, or manifest of the only image
	digest string
}

func remake(w *whole.Image, parts []*parsed, swaps []Swap, labels map[string]string) (remade, error) {
	var out remade
	for i, part := range parts {
		s := swaps[i]
		s.Labels = labels
		p, err := s.Replace(part)
		if err != nil {
			return out, err
		}
		out.parts = append(out.parts, p)
	}
	out.raw = out.parts[0].Manifest
	if w.IsIndex() {
		var err error
		if out.raw, err = Reindex(w, out.parts, labels); err != nil {
			return out, err
		}
	}
	out.digest = digest.FromBytes(out.raw).String()
	return out, nil
}
