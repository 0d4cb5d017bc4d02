package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"fnb/builder"
	"fnb/pipeline/inventory"
	"fnb/pipeline/provenance"
	"fnb/sbom/locks"
	"fnb/sbom/scan"
	"fnb/schema"
	"fnb/schema/words"
	"fnb/trust/evidence"
)

// Push sends the images of the jobs from the image store to their registries, several at a
// time. There is an outcome for each job, whatever the error is.
func (p *Pipeline) Push(ctx context.Context, jobs []*Job) ([]Outcome, error) {
	return p.eachOutcome(ctx, jobs, max(p.settings.Parallel, 1), p.push)
}

// push sends one function's image under each of its references.
func (p *Pipeline) push(ctx context.Context, j *Job) (Outcome, error) {
	pl, img := &Plan{Job: j}, &image{}
	err := p.pushInto(ctx, pl, img)
	return p.record(ctx, pl, lookup{}, img, err)
}

func (p *Pipeline) pushInto(ctx context.Context, pl *Plan, img *image) error {
	defer img.clock("push")()
	news := false
	for _, ref := range pl.Job.Refs {
		pushed, err := p.Registry.Push(ctx, p.Images, ref.Text)
		if err != nil {
			return While("pushing "+ref.Text, err)
		}
		img.digest = pushed.Digest
		img.tags = append(img.tags, ref.Text)
		img.sent += pushed.Sent
		news = news || !pushed.Unchanged
	}
	doing := "pushing " + pl.Job.Refs[len(pl.Job.Refs)-1].Text
	desc, err := p.Images.Resolve(pl.Job.Refs[0].Text)
	if err != nil {
		return While(doing, err)
	}
	pl.Digest = desc.Annotations[words.LabelInput]
	if err := p.pushInputTag(ctx, pl, img); err != nil {
		return While(doing, err)
	}
	if img.status = "pushed"; !news {
		img.status, img.reason = "skipped", Note{Text: "the registry has it"}
	}
	if img.platforms, err = p.Images.Reports(ctx, desc); err == nil && news && p.Pushed != nil {
		err = p.tellKept(ctx, pl.Job, desc)
	}
	return While(doing, err)
}

// pushInputTag gives an image that was sent the tag of its inputs, as tagInputs
// does where the builder has sent it. It has none where its
// inputs do not decide it.
func (p *Pipeline) pushInputTag(ctx context.Context, pl *Plan, img *image) error {
	if pl.Digest == "" || p.settings.NoInputTag {
		return nil
	}
	ref := pl.Job.Refs[0]
	if _, err := p.Registry.Push(ctx, p.Images, ref.Text, inputRef(ref, pl.Digest).Text); err != nil && ctx.Err() == nil {
		img.untagged(err)
	}
	return ctx.Err()
}

// Inventory has the image of a job in the image store, made where it is not there, and says what it
// is made of: once for each platform.
func (p *Pipeline) Inventory(ctx context.Context, j *Job) ([]inventory.List, error) {
	if _, err := p.Build(ctx, j); err != nil {
		return nil, err
	}
	pl, err := p.Prepare(ctx, j)
	if err != nil {
		return nil, err
	}
	doing := "looking into " + j.Refs[0].Text
	release, err := p.Images.Hold(ctx)
	if err != nil {
		return nil, While(doing, err)
	}
	defer release()
	desc, err := p.Images.Resolve(j.Refs[0].Text)
	if err != nil {
		return nil, While(doing, err)
	}
	out, err := inventory.OfStored(ctx, p.Images, j.Refs[0].Text, desc, p.aboutImage(pl))
	return out, While(doing, err)
}

// tellKept tells what an image of the image store is made of that has been pushed. What the function's
// locks say is not known then.
func (p *Pipeline) tellKept(ctx context.Context, j *Job, desc v1.Descriptor) error {
	all, err := inventory.OfStored(ctx, p.Images, j.Refs[0].Text, desc, inventory.About{Repository: j.Refs[0].Says.Name()})
	for _, made := range all {
		if err == nil {
			made.Function = j.Function.Name
			err = p.Pushed(ctx, made)
		}
	}
	return err
}

// aboutImage is what a plan says of its image.
func (p *Pipeline) aboutImage(pl *Plan) inventory.About {
	folders := []string{pl.Template.Manifest.HandlerFolder, "function", "packages", "."}
	slices.Sort(folders)
	return inventory.About{
		Repository: pl.Job.Refs[0].Says.Name(), Created: time.Unix(p.created(), 0), Commit: pl.Pin.Commit,
		Locks: locks.Read(pl.context.FS, slices.Compact(folders)...),
	}
}

// looked is what was found in the images of a solve.
type looked struct {
	mu  sync.Mutex
	all []seen
}

type seen struct {
	platform schema.Platform
	found    scan.Found
	home     string
}

// lookInto has a builder's images looked into before it pushes them; nil where nobody wants to know.
func (p *Pipeline) lookInto(req *builder.Request) *looked {
	if p.Pushed == nil || !p.pushes() {
		return nil
	}
	l := &looked{}
	req.Output.Inspect = func(ctx context.Context, platform schema.Platform, files *builder.Files) error {
		var config v1.ConfigFile
		if err := json.Unmarshal(files.Config, &config); err != nil {
			return fmt.Errorf("reading the image's configuration: %w", err)
		}
		found, err := scan.Tree(ctx, files)
		if err != nil {
			return fmt.Errorf("looking into the image: %w", err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all = slices.DeleteFunc(l.all, func(s seen) bool { return s.platform == platform }) // of a solve that was begun again
		l.all = append(l.all, seen{platform, found, config.Config.WorkingDir})
		return nil
	}
	return l
}

// tell tells what was found in the images that a solve has pushed.
func (p *Pipeline) tell(ctx context.Context, l *looked, pl *Plan, res *builder.Result) error {
	if l == nil {
		return nil
	}
	ref := pl.Job.Refs[0]
	about := p.aboutImage(pl)
	about.Labels = res.Labels
	for _, s := range l.all {
		of, err := p.subject(ctx, ref, res, s.platform)
		if err != nil {
			return err
		}
		about.Platform, about.Home, about.Digest = s.platform, path.Clean("/"+s.home), of.Digest.String()
		made := inventory.List{Function: pl.Job.Function.Name, Reference: ref.Text, Subject: of, Document: inventory.New(s.found, about), Unread: slices.Concat(s.found.Unread, about.Locks.Unread)}
		if err := p.Pushed(ctx, made); err != nil {
			return err
		}
	}
	return nil
}

// subject is the image of a platform that was pushed.
func (p *Pipeline) subject(ctx context.Context, ref Reference, res *builder.Result, platform schema.Platform) (v1.Descriptor, error) {
	if len(res.Platforms) == 1 {
		return descriptor(res)
	}
	digest := ref.Says
	digest.Tag, digest.Digest = "", res.Digest
	got, err := p.Registry.Open(ctx, digest.String(), platform)
	if err != nil {
		return v1.Descriptor{}, err
	}
	return got.Descriptor, nil
}

// attest attaches to an image that was pushed how it was made, and of what.
func (p *Pipeline) attest(ctx context.Context, img *image, pl *Plan, res *builder.Result, began time.Time) error {
	detail := p.settings.Destination.Provenance
	if detail == "" {
		return nil
	}
	defer img.clock("attest")()
	subject, err := descriptor(res)
	if err != nil {
		return err
	}
	m := provenance.Making{
		Function: pl.Job.Function.Name, Reference: pl.Job.Function.Lang, Template: pl.Pin, Target: pl.req.Target,
		Platforms: pl.req.Platforms, Bases: pl.req.Bases, Inputs: pl.inputs, Tested: pl.req.Test,
		Version: p.Version, Builders: res.Builders, Began: began, Ended: time.Now(), Seconds: img.seconds, Labels: pl.req.Config.Labels,
	}
	statements, err := m.Statements(res.Digest, detail)
	if err != nil {
		return err
	}
	var eg errgroup.Group
	for _, s := range statements {
		eg.Go(func() error {
			return While("attaching "+s.PredicateType, evidence.State(ctx, p.Registry, pl.Job.Refs[0].Text, subject, s, p.Signer))
		})
	}
	return eg.Wait()
}

// sign signs what is at the registry, if that is wanted. What this machine has signed there before is
// not asked for again.
func (p *Pipeline) sign(ctx context.Context, pl *Plan, img *image) error {
	s, ref := p.Signer, pl.Job.Refs[0]
	if s == nil || !p.pushes() || img.digest == "" {
		return nil
	}
	repository := ref.Says.Name()
	if p.history.Signed(repository, img.digest, s.KeyID()) {
		return nil
	}
	defer img.clock("sign")()
	var err error
	if img.status == "skipped" {
		_, err = evidence.Sign(ctx, p.Registry, ref.Text, img.desc, s)
	} else {
		err = evidence.SignNew(ctx, p.Registry, ref.Text, img.desc, s)
	}
	if err != nil {
		return While("signing "+ref.Text, err)
	}
	p.history.Sign(repository, img.digest, s.KeyID())
	return nil
}
