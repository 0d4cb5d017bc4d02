package pipeline

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"fnb/builder"
	"fnb/builder/fleet"
	"fnb/schema"
	"fnb/schema/words"
)

// An image is what became of a function.
type image struct {
	findings
	status    string // as the report has it
	reason    Note
	digest    string
	desc      v1.Descriptor // of that digest, where it was pushed
	reference string
	tags      []string
	platforms []schema.PlatformReport
	cached    bool  // the builder had every step already
	context   int64 // bytes sent to the builder
	sent      int64 // bytes that went to the registry
	builders  []string
}

// solve has the builder make the image, once it is the function's turn, and push or keep
// it. With an error the image has what was found until then.
func (p *Pipeline) solve(ctx context.Context, pl *Plan, there lookup) (*image, error) {
	img := &image{}
	if err := p.solveInto(ctx, img, pl, there); err != nil {
		return img, While(pl.doing(), err)
	}
	return img, nil
}

func (p *Pipeline) solveInto(ctx context.Context, img *image, pl *Plan, there lookup) error {
	waited := img.clock("wait")
	solved, err := p.queue.Solve(ctx)
	if err != nil {
		return err
	}
	defer solved()
	waited()
	b, err := p.Builder.Get(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	solving := img.clock("solve")
	res, err := p.makeImage(ctx, b, img, pl, there, solved)
	solving()
	if err != nil {
		return err
	}
	made := solvedImage{Result: res, began: began, ended: time.Now()}
	if p.pushes() {
		return p.finishPush(ctx, img, pl, made)
	}
	return p.finishKept(ctx, img, pl, made)
}

// A solvedImage is what a builder has made, and when.
type solvedImage struct {
	*builder.Result
	began, ended time.Time
}

// makeImage solves and delivers, and says what came out.
func (p *Pipeline) makeImage(ctx context.Context, b fleet.Builder, img *image, pl *Plan, there lookup, solved func()) (*builder.Result, error) {
	if err := p.readSecrets(pl); err != nil {
		return nil, err
	}
	img.Notes = append(img.Notes, p.describeSource(ctx, &pl.req, pl.Digest)...)
	if p.Images != nil {
		release, err := p.Images.Hold(ctx) // nobody prunes what the builder is writing
		if err != nil {
			return nil, err
		}
		defer release()
	}
	pl.req.Turn = func(ctx context.Context) (func(error), error) {
		return p.queue.Deliver(ctx, solved, p.shared(pl, there.earlier))
	}
	exported := p.claimCache(pl)
	res, err := p.whileAllowed(ctx, pl.Job, func(ctx context.Context) (*builder.Result, error) {
		return p.deliver(ctx, b, pl.Job, pl.req)
	})
	exported(err)
	if is[*fleet.NoneLeftError](err) {
		p.Builder.GiveUp(err)
	}
	if err != nil {
		return nil, p.explained(ctx, pl, err)
	}
	p.describeImage(img, pl, res)
	if p.Images != nil {
		img.platforms, err = p.name(ctx, pl, res)
	}
	return res, err
}

// shared names what the image of a function has in common with others. Where the image
// that is there is of the same template and the same base, most of that is there already.
func (p *Pipeline) shared(pl *Plan, earlier map[string]string) []string {
	same := func(label, value string) bool { return earlier[label] == value }
	if !p.pushes() || !pl.own && earlier != nil && same(words.LabelTemplateChecksum, pl.req.Config.Labels[words.LabelTemplateChecksum]) && same(words.LabelBaseDigest, pl.req.Bases[pl.req.Base]) {
		return nil
	}
	host := pl.Job.Refs[0].Says.Registry
	things := []string{host + " steps " + pl.steps}
	if pl.req.Base != "" {
		things = append(things, host+" base "+pl.req.Base)
	}
	if w := pl.req.Watchdog; w.Layout != nil || w.Reference != "" {
		things = append(things, host+" watchdog "+w.Reference)
	}
	return things
}

// describeImage says what the builder has made.
func (p *Pipeline) describeImage(img *image, pl *Plan, res *builder.Result) {
	img.Notes = append(img.Notes, notable(res.Warnings, pl)...)
	if pl.own || isHere(pl.Pin.Store) { // else it is nothing that its user could mend
		img.Notes = append(img.Notes, notesOf(res.Lints)...)
	}
	if len(res.Builders) > 1 && len(p.settings.Cache.Exports) > 0 {
		img.note("", "its platforms were built apart, so each but the first has a build cache of its own, with the platform behind its name")
	}
	if desc, err := descriptor(res); err == nil && res.MediaType != "" && res.Size > 0 {
		img.desc = desc
	}
	img.digest, img.context, img.sent, img.builders = res.Digest, res.Sent, res.Pushed, res.Builders
	img.reference, img.tags = pl.Job.Refs[0].Text, textsOf(pl.Job.Refs)
	img.status = "built"
	if res.CachedPart == 1 {
		img.status, img.cached = "cached", true
	}
}

// Export has the builder make what a plan says, and writes its files as a tar.
func (p *Pipeline) Export(ctx context.Context, pl *Plan, to io.WriteCloser) error {
	if err := p.readSecrets(pl); err != nil {
		return err
	}
	b, err := p.Builder.Get(ctx)
	if err != nil {
		return err
	}
	req := pl.req
	req.Output = builder.Output{Tar: func() (io.WriteCloser, error) { return to, nil }}
	_, err = b.Solve(ctx, req)
	return p.explained(ctx, pl, err)
}

// isHere reports whether a pin is of a template in a folder, as those are that somebody
// writes.
func isHere(store string) bool { return strings.HasPrefix(store, ".") || filepath.IsAbs(store) }

// deliver solves, and lets what receives the image keep it only when it is
// whole.
func (p *Pipeline) deliver(ctx context.Context, b fleet.Builder, j *Job, req builder.Request) (*builder.Result, error) {
	if err := p.settings.Destination.deliverable(&req, p.Builder.InEngine()); err != nil {
		return nil, err
	}
	out, t, err := p.output(ctx, j)
	if err != nil {
		return nil, err
	}
	req.Output = out
	img, err := b.Solve(ctx, req)
	if err == nil && img.Index != nil {
		refs := textsOf(j.Refs)
		if out.ByDigest {
			refs = []string{j.Refs[0].Says.Pinned(img.Digest).String()}
		}
		err = p.Registry.PutManifest(ctx, types.MediaType(img.MediaType), img.Index, refs...)
	}
	if t == nil {
		return img, err
	}
	if err != nil {
		return nil, t.Discard(err)
	}
	return img, t.Commit()
}

// name lets the image store know the image under its references, and as that of
// its inputs where these decide what it is. It returns the image of each platform.
func (p *Pipeline) name(ctx context.Context, pl *Plan, res *builder.Result) ([]schema.PlatformReport, error) {
	desc, err := descriptor(res)
	if err != nil {
		return nil, err
	}
	if pl.unpinned == "" {
		desc.Annotations = map[string]string{words.LabelInput: pl.Digest}
	}
	for _, ref := range pl.Job.Refs {
		if err := p.Images.Put(ctx, ref.Text, desc); err != nil {
			return nil, err
		}
	}
	return p.Images.Reports(ctx, desc)
}

// descriptor is an image's, as the builder says it.
func descriptor(img *builder.Result) (v1.Descriptor, error) {
	h, err := v1.NewHash(img.Digest)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("the builder's digest %q: %w", img.Digest, err)
	}
	return v1.Descriptor{MediaType: types.MediaType(img.MediaType), Size: img.Size, Digest: h}, nil
}
