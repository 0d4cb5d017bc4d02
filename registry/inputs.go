package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images"
	"fnb/schema"
	"fnb/schema/words"
)

// Bounds of a question whose answer nobody depends on.
const (
	questionPatience = 3 * time.Second  // of waiting between attempts
	questionLimit    = 15 * time.Second // of all: a registry may need a token and a look into its storage
)

// errSilent says that a registry took a question and did not answer.
var errSilent = errors.New("no answer within " + questionLimit.String())

// question returns a context for such a question.
func question(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, questionLimit)
	ctx, budget := withBudget(ctx)
	budget.left = questionPatience
	return ctx, cancel
}

// A Known is what a registry has under a reference.
type Known struct {
	Reference   string
	Descriptor  v1.Descriptor
	Annotations map[string]string // of the manifest or index
	// Platforms has the images of an index, whose sizes [Client.Measure] knows; or
	// the one image, whose platform is not in its manifest.
	Platforms []schema.PlatformReport

	raw []byte
}

// Input is the input digest that the image was made with; "" where it says none.
func (k *Known) Input() string { return k.Annotations[words.LabelInput] }

// Manifest is the manifest or index itself.
func (k *Known) Manifest() []byte { return k.raw }

// Ask returns what a registry has under ref. It waits a few seconds at most for
// a registry that fails, and 15 for one that does not answer, which is an
// [*UnavailableError]. If the registry does not have it, Ask returns a
// [*NotFoundError].
func (c *Client) Ask(ctx context.Context, ref string) (*Known, error) {
	r, err := c.parse(ref)
	if err != nil {
		return nil, err
	}
	qctx, answered := question(asking(ctx, r))
	defer answered()
	_, puller := c.remotes()
	d, err := puller.Get(qctx, r.name())
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, &UnavailableError{Host: r.Registry, Reference: r.String(), PlainHTTP: c.plain(r.repo.RegistryStr()), Err: errSilent}
	}
	if err != nil {
		return nil, c.explain(ctx, err, r)
	}
	return know(r, d.Descriptor, d.Manifest)
}

// Know is [Client.Ask] for an image whose manifest or index the caller has. It is an
// error where that is not what desc says.
func (c *Client) Know(ref string, desc v1.Descriptor, raw []byte) (*Known, error) {
	r, err := c.parse(ref)
	if err != nil {
		return nil, err
	}
	if got, _, err := v1.SHA256(bytes.NewReader(raw)); err != nil || got != desc.Digest {
		return nil, fmt.Errorf("%s: the manifest is %s, not %s", r, got, desc.Digest)
	}
	return know(r, desc, raw)
}

func know(r reference, desc v1.Descriptor, raw []byte) (*Known, error) {
	k := &Known{Reference: r.String(), Descriptor: desc, raw: raw}
	if err := k.read(); err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	return k, nil
}

// read takes from the manifest what callers want to know.
func (k *Known) read() error {
	var m struct {
		Annotations map[string]string `json:"annotations"`
		Manifests   []v1.Descriptor   `json:"manifests"`
		Layers      []v1.Descriptor   `json:"layers"`
	}
	if err := json.Unmarshal(k.raw, &m); err != nil {
		return fmt.Errorf("reading the manifest: %w", err)
	}
	k.Annotations = m.Annotations
	for _, d := range m.Manifests {
		if !images.ForPlatform(d) {
			continue
		}
		k.Platforms = append(k.Platforms, schema.PlatformReport{Platform: images.PlatformOf(d).String(), Digest: d.Digest.String()})
	}
	if k.Descriptor.MediaType.IsImage() {
		one := schema.PlatformReport{Digest: k.Descriptor.Digest.String()}
		for _, l := range m.Layers {
			one.Size += l.Size
		}
		k.Platforms = []schema.PlatformReport{one}
	}
	return nil
}

// Measure asks the registry how large the images of an index are. A size that
// cannot be had stays 0.
func (c *Client) Measure(ctx context.Context, known *Known) {
	r, err := c.parse(known.Reference)
	if err != nil {
		return
	}
	ctx, answered := question(asking(ctx, r))
	defer answered()
	_, puller := c.remotes()
	for i, p := range known.Platforms {
		if p.Size > 0 {
			continue
		}
		d, err := puller.Get(ctx, r.repo.Digest(p.Digest))
		if err != nil {
			return
		}
		image := Known{Descriptor: d.Descriptor, raw: d.Manifest}
		if image.read() == nil && len(image.Platforms) == 1 {
			known.Platforms[i].Size = image.Platforms[0].Size
		}
	}
}

// Tag makes ref, of the repository that known was asked of, name that image too.
func (c *Client) Tag(ctx context.Context, known *Known, ref string) error {
	r, err := c.parse(ref)
	if err != nil {
		return err
	}
	if at, err := c.parse(known.Reference); err != nil || at.repo.Name() != r.repo.Name() {
		return images.BadReference(ref, "it is not in the repository of "+known.Reference)
	}
	ctx, _ = withBudget(asking(ctx, r))
	pusher, _ := c.remotes()
	if err := pusher.Put(ctx, r.name(), &rawManifest{raw: known.raw, mediaType: known.Descriptor.MediaType}); err != nil {
		return c.explain(ctx, err, r)
	}
	return nil
}
