package rebase

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	digest "github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"fnb/packaging"
	"fnb/registry"
	"fnb/registry/whole"
	"fnb/sbom/scan"
	"fnb/schema"
	"fnb/schema/rebaseplan"
	"fnb/schema/words"
)

// An Applier carries a plan out.
type Applier struct {
	Registry  *registry.Client
	Plan      *rebaseplan.Plan
	Journal   *rebaseplan.Journal
	Places    func(ref schema.ImageRef) []string // as of a [Planner]
	Watchdogs map[string]WatchdogLayer           // those of the plan
	Parallel  int                                // images at a time; 0 is 8
	// TagSuffix makes new tags, such as "1.2-r1", and leaves the old ones; "" moves these.
	TagSuffix string
	// MaxFailures is how many images may fail before no more are begun.
	MaxFailures int
	Checks
	// Each is called with what became of an image, by one goroutine at a time.
	Each func(Outcome)

	shelf   shelf
	mu      sync.Mutex
	sum     Summary
	sending sync.Mutex
	sent    map[string]string // repository that has a watchdog's layer, by registry and digest
}

// Checks are made with images before their tags are moved.
type Checks struct {
	// Smoke tests an image that nothing names yet; nil tests none. With All it tests each, and otherwise
	// the first of each class.
	Smoke func(ctx context.Context, i *rebaseplan.Image, ref string) error
	All   bool
	// Rebuild is the digest of the image that a build with the new base image gives, of the images that
	// Smoke tests. Only what is equal keeps the input digest. nil, and "", is not known.
	Rebuild func(ctx context.Context, i *rebaseplan.Image) (digest string, err error)
	// Evidence is attached to what is written; the zero value is none.
	Evidence Evidence
}

// An Outcome is what became of an image.
type Outcome struct {
	Image   *rebaseplan.Image
	State   rebaseplan.State
	Becomes string   // its digest now
	Before  bool     // it was done before
	Err     error    // why it failed
	Notes   []string // what there is to know beside
}

// A Summary is what became of a plan.
type Summary struct {
	Done, Before, Failed, Left int // images: done, done before, failed, and not begun
	Mounted, Sent              int64
}

// errEnough ends what is under way once too many images have failed.
var errEnough = errors.New("too many images failed")

// Apply does what the plan says: the first image of each class, and then the rest of those whose first was done. A
// failure is an [Outcome], and images that are done stay done. An error is one of the journal or the context's.
func (a *Applier) Apply(ctx context.Context) (Summary, error) {
	a.shelf, a.sum = shelf{client: a.Registry, places: a.Places, layers: &scan.Cache{}}, Summary{}
	if e := a.Evidence.Attester; e != nil && e.Layers != nil {
		a.shelf.layers = e.Layers
	}
	firsts, rest := a.canaries()
	a.sum.Left = len(firsts)
	for _, all := range rest {
		a.sum.Left += len(all)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(cmp.Or(a.Parallel, atOnce))
	claims := map[string]bool{}
	for _, first := range firsts {
		proven, err := a.next(gctx, first, true, false)
		if err != nil {
			if errors.Is(err, errEnough) {
				err = nil
			}
			return a.sum, errors.Join(err, ctx.Err())
		}
		if proven != nil {
			claims[first.Class] = *proven
		}
	}
	for class, all := range rest {
		claim, ok := claims[class]
		if !ok {
			continue // its first one failed
		}
		for _, i := range all {
			g.Go(func() error {
				_, err := a.next(gctx, i, a.All, claim)
				return err
			})
		}
	}
	err := g.Wait()
	if errors.Is(err, errEnough) {
		err = nil
	}
	return a.sum, errors.Join(err, ctx.Err())
}

// canaries are the first image of each class and, by class, those behind it.
func (a *Applier) canaries() (firsts []*rebaseplan.Image, rest map[string][]*rebaseplan.Image) {
	rest = map[string][]*rebaseplan.Image{}
	for n := range a.Plan.Images {
		i := &a.Plan.Images[n]
		if i.Action != rebaseplan.Rebase {
			continue
		}
		if _, ok := rest[i.Class]; !ok {
			firsts, rest[i.Class] = append(firsts, i), nil
			continue
		}
		rest[i.Class] = append(rest[i.Class], i)
	}
	return firsts, rest
}

// next does one image, and notes what became of it. Proven is whether it is what a build gives; nil where
// it failed. Checked says that it is checked itself, and claim what was found of its class.
func (a *Applier) next(ctx context.Context, i *rebaseplan.Image, checked, claim bool) (proven *bool, err error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	w := work{applier: a, image: i, checked: checked, claim: claim, began: time.Now()}
	out := Outcome{Image: i, State: rebaseplan.Done}
	if last, ok := a.Journal.Last(i.Reference()); ok && last.State == rebaseplan.Done {
		out.Before, out.Becomes = true, last.Becomes
		w.claim = last.Becomes == i.Becomes
	} else if out.Err = w.do(ctx); out.Err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		out.State = rebaseplan.Failed
		err = a.Journal.Add(rebaseplan.Entry{Image: i.Reference(), State: rebaseplan.Failed, Becomes: w.made.digest, Why: out.Err.Error()})
	} else {
		out.Becomes, out.Notes = w.made.digest, w.notes
		err = a.Journal.Add(rebaseplan.Entry{Image: i.Reference(), State: rebaseplan.Done, Becomes: w.made.digest, Tags: w.tags()})
	}
	if err != nil {
		return nil, err
	}
	if a.tell(out, w.brought) {
		return nil, errEnough
	}
	if out.State == rebaseplan.Failed {
		return nil, nil //nolint:nilnil // nobody knows
	}
	return &w.claim, nil
}

// tell counts an outcome, and reports whether too many have failed.
func (a *Applier) tell(out Outcome, b registry.Pushed) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sum.Left--
	a.sum.Mounted, a.sum.Sent = a.sum.Mounted+b.Mounted, a.sum.Sent+b.Sent
	switch {
	case out.State == rebaseplan.Failed:
		a.sum.Failed++
	case out.Before:
		a.sum.Before++
	default:
		a.sum.Done++
	}
	if a.Each != nil {
		a.Each(out)
	}
	return a.sum.Failed > a.MaxFailures
}

// A work is one image that is being replaced.
type work struct {
	applier        *Applier
	image          *rebaseplan.Image
	checked, claim bool
	began          time.Time
	whole          *whole.Image // as it was
	change         change
	swaps          []Swap
	made           remade
	brought        registry.Pushed
	notes          []string
}

// tags are those that name the image when it is done.
func (w *work) tags() []string {
	var out []string
	for _, tag := range w.image.Tags {
		out = append(out, tag+w.applier.TagSuffix)
	}
	return out
}

func (w *work) do(ctx context.Context) error {
	a, i := w.applier, w.image
	var err error
	if w.whole, err = whole.Read(ctx, a.Registry, i.Reference()); err != nil {
		return err
	}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	if w.checked {
		if err := w.compare(ctx); err != nil {
			return err
		}
	}
	if !w.claim && i.Inputs != "" {
		if w.made, err = remake(w.whole, w.change.parts, w.swaps, newLabels("", i.Base)); err != nil {
			return err
		}
	}
	if moved, err := w.moved(ctx); err != nil || moved {
		return err
	}
	if err := w.upload(ctx); err != nil {
		return err
	}
	if err := w.check(ctx); err != nil {
		return err
	}
	return w.move(ctx)
}

// prepare puts together what the image becomes, and holds it against the plan.
func (w *work) prepare(ctx context.Context) error {
	a, i := w.applier, w.image
	var old, to *base
	var err error
	if i.Base != nil {
		if old, err = a.shelf.get(ctx, i.Base.Reference, i.Base.From); err != nil {
			return err
		}
		if to, err = a.shelf.get(ctx, i.Base.Reference, i.Base.To); err != nil {
			return err
		}
	}
	c := change{planner: &Planner{Watchdogs: a.Watchdogs}, whole: w.whole}
	if c.parts, err = parseAll(w.whole); err != nil {
		return err
	}
	c.labels = c.parts[0].config.Config.Labels
	if old == nil {
		if old, err = a.shelf.get(ctx, c.labels[words.LabelBaseName], c.labels[words.LabelBaseDigest]); err != nil {
			return err
		}
		to = old
	}
	c.old, c.to = old, to
	w.change = c
	for _, part := range c.parts {
		s, err := c.swap(*part.Descriptor.Platform)
		if err != nil {
			return err
		}
		w.swaps = append(w.swaps, s)
	}
	if w.made, err = remake(w.whole, w.change.parts, w.swaps, newLabels(i.Inputs, i.Base)); err != nil {
		return err
	}
	if w.made.digest != i.Becomes {
		return fmt.Errorf("it would become %s, and the plan says %s: plan again", w.made.digest, i.Becomes)
	}
	return nil
}

// compare says whether a build gives the image.
func (w *work) compare(ctx context.Context) error {
	w.claim = false
	if w.applier.Rebuild == nil || w.image.Inputs == "" {
		return nil
	}
	digest, err := w.applier.Rebuild(ctx, w.image)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		w.notes = append(w.notes, "it was not built again, so images of its class get no input digest: "+err.Error())
		return nil
	}
	w.claim = digest == w.image.Becomes
	if !w.claim && digest != "" {
		w.notes = append(w.notes, "a build gives "+digest+": images of its class get no input digest, and are made again by the next build")
	}
	return nil
}

// moved reports whether all tags name the image already. It is an error where one names neither that nor
// what the plan saw.
func (w *work) moved(ctx context.Context) (bool, error) {
	all := true
	for _, tag := range w.tags() {
		now, ok, err := tagged(ctx, w.applier.Registry, w.image.Repository+":"+tag)
		if err != nil {
			return false, err
		}
		if ok && now.String() == w.made.digest {
			continue
		}
		all = false
		switch {
		case w.applier.TagSuffix == "" && !ok:
			return false, fmt.Errorf("the tag %s is gone since the plan was made", tag)
		case w.applier.TagSuffix == "" && now.String() != w.image.Digest:
			return false, fmt.Errorf("the tag %s was moved since the plan was made: it names %s", tag, now)
		case w.applier.TagSuffix != "" && ok:
			return false, fmt.Errorf("the tag %s is there already: it names %s", tag, now)
		}
	}
	return all && len(w.image.Tags) > 0, nil
}

// tagged is what a tag names, if there is such a tag.
func tagged(ctx context.Context, c *registry.Client, ref string) (v1.Hash, bool, error) {
	d, err := c.Head(ctx, ref)
	if _, none := errors.AsType[*registry.NotFoundError](err); none {
		return v1.Hash{}, false, nil
	}
	return d.Digest, err == nil, err
}

// upload brings all that the image names to its repository, and the image itself by its digest.
func (w *work) upload(ctx context.Context) error {
	a, i := w.applier, w.image
	there := map[digest.Digest]bool{} // layers, of all platforms
	for _, part := range w.change.parts {
		for _, l := range part.manifest.Layers {
			there[l.Digest] = true
		}
	}
	for n, part := range w.made.parts {
		if err := w.layers(ctx, n, there); err != nil {
			return err
		}
		if err := a.Registry.PutBlob(ctx, i.Repository, part.Config); err != nil {
			return err
		}
		if !w.whole.IsIndex() {
			break // it is put below
		}
		if err := a.Registry.PutManifest(ctx, part.Descriptor.MediaType, part.Manifest, i.Repository+"@"+part.Descriptor.Digest.String()); err != nil {
			return err
		}
	}
	if !w.aside() {
		return nil
	}
	return a.Registry.PutManifest(ctx, w.whole.Descriptor.MediaType, w.made.raw, i.Repository+"@"+w.made.digest)
}

// aside reports whether the image is used by its digest before a tag names it.
func (w *work) aside() bool {
	return w.applier.Evidence.Attester != nil || w.checked && w.applier.Smoke != nil || len(w.image.Tags) == 0
}

// layers brings the layers of the image of a platform that are not there yet.
func (w *work) layers(ctx context.Context, n int, there map[digest.Digest]bool) error {
	a, s := w.applier, w.swaps[n]
	var missing []v1.Descriptor
	for _, l := range s.New.manifest.Layers {
		if there[l.Digest] {
			continue
		}
		there[l.Digest] = true
		h, err := v1.NewHash(l.Digest.String())
		if err != nil {
			return err
		}
		missing = append(missing, v1.Descriptor{Digest: h, Size: l.Size})
	}
	if len(missing) > 0 {
		b, err := a.shelf.get(ctx, w.image.Base.Reference, w.image.Base.To)
		if err != nil {
			return err
		}
		got, err := a.Registry.Bring(ctx, w.image.Repository, b.at, missing)
		w.count(got)
		if err != nil {
			return err
		}
	}
	if s.Watchdog == nil || there[s.Watchdog.Digest] {
		return nil
	}
	there[s.Watchdog.Digest] = true
	return w.watchdog(ctx, s.Watchdog)
}

// watchdog brings a watchdog's layer to the repository: to the first one of a registry it is sent, and
// the others take it over.
func (w *work) watchdog(ctx context.Context, layer *WatchdogLayer) error {
	ref, err := schema.ParseImageRef(w.image.Repository)
	if err != nil {
		return err
	}
	a := w.applier
	a.sending.Lock()
	key := ref.Registry + " " + layer.Digest.String()
	from, there := a.sent[key]
	if !there {
		defer a.sending.Unlock()
		if err := a.Registry.PutBlob(ctx, w.image.Repository, layer.Blob); err != nil {
			return err
		}
		if a.sent == nil {
			a.sent = map[string]string{}
		}
		a.sent[key] = w.image.Repository
		w.brought.Sent += layer.Size
		return nil
	}
	a.sending.Unlock()
	h, err := v1.NewHash(layer.Digest.String())
	if err != nil {
		return err
	}
	got, err := a.Registry.Bring(ctx, w.image.Repository, from, []v1.Descriptor{{Digest: h, Size: layer.Size}})
	w.count(got)
	return err
}

func (w *work) count(b registry.Pushed) {
	w.brought.Mounted += b.Mounted
	w.brought.Sent += b.Sent
	w.brought.Present += b.Present
}

// check tests what is in the registry and has no name yet, and says what it is.
func (w *work) check(ctx context.Context) error {
	ref := w.image.Repository + "@" + w.made.digest
	if w.checked && w.applier.Smoke != nil {
		if err := w.applier.Smoke(ctx, w.image, ref); err != nil {
			return err
		}
		if moved, err := w.moved(ctx); err != nil || moved { // it took its time
			return err
		}
	}
	return w.attest(ctx)
}

// move has the tags name the image. The one of its inputs comes last: whoever looks for it finds
// what others are given already.
func (w *work) move(ctx context.Context) error {
	a, i := w.applier, w.image
	tags := w.tags()
	if err := a.Journal.Add(rebaseplan.Entry{Image: i.Reference(), State: rebaseplan.Begun, Becomes: w.made.digest, Tags: tags}); err != nil {
		return err
	}
	if w.claim && i.Inputs != "" {
		tags = append(slices.Clip(tags), packaging.InputTag(i.Inputs))
	}
	for _, tag := range tags {
		if err := a.Registry.PutManifest(ctx, w.whole.Descriptor.MediaType, w.made.raw, i.Repository+":"+tag); err != nil {
			return err
		}
	}
	return nil
}
