package attest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"fnb/images"
	"fnb/internal/plain"
	"fnb/pipeline/inventory"
	"fnb/pipeline/provenance"
	"fnb/registry"
	"fnb/sbom/scan"
	"fnb/schema"
	"fnb/trust"
	"fnb/trust/attestation"
	"fnb/trust/evidence"
)

// Wants are what is said of images; the zero value is nothing.
type Wants struct {
	SBOM       bool
	Provenance provenance.Detail // with it the list of inputs, and that tests have passed
	// Demanded has an image fail to which this cannot be attached. Otherwise that is a note: what nobody has asked for
	// is in the way of no push.
	Demanded bool
}

// Any reports whether anything is said.
func (w Wants) Any() bool { return w.SBOM || w.Provenance != "" }

// words names what is said.
func (w Wants) words() string {
	switch {
	case w.SBOM && w.Provenance != "":
		return "SBOM and provenance"
	case w.SBOM:
		return "SBOM"
	}
	return "provenance"
}

// An Attester says what is wanted of images, and signs it. It is safe for concurrent use.
type Attester struct {
	Wants    Wants
	Signer   *trust.Signer // signs what is said, and the image; nil signs nothing
	Registry *registry.Client
	Layers   *scan.Cache // what was found in layers before; nil remembers nothing

	refusing sync.Map // hosts of registries that do not take it
}

// An Image is one that was made, and what is known of how.
type Image struct {
	Reference  string        // of the whole image
	Descriptor v1.Descriptor // of the manifest or index
	Manifest   []byte        // of that descriptor
	Making     provenance.Making
	About      inventory.About
	// Blob reads what the image is made of from the builder that made it; nil, or an error, has the registry asked.
	Blob func(ctx context.Context, digest string) (io.ReadCloser, error)
}

// A RefusedError says that something that was asked for cannot be attached to an image in its registry, or does not
// stay there.
type RefusedError struct {
	Reference string
	What      string // in words, such as "SBOM and provenance"
	Err       error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("attaching %s to %s: %v", e.What, e.Reference, e.Err)
}

func (e *RefusedError) Unwrap() error { return e.Err }

// A Said is what is said of one digest of an image.
type Said struct {
	Subject    v1.Descriptor // media type, digest and size of the image
	Statements []*attestation.Statement
}

// Attach attaches to an image that is in its registry, by digest, what is wanted of it, and signs the image if there is a
// signer. That the registry does not take it is a [*RefusedError] if it was asked for, as a signature always is, and
// otherwise one of the notes, once for each registry.
func (a *Attester) Attach(ctx context.Context, img Image) (notes []string, err error) {
	if a.Refused(img.Reference) {
		return nil, nil
	}
	all, notes, err := a.say(ctx, img, a.opener(ctx, img))
	if err != nil {
		return notes, err
	}
	more, err := a.Put(ctx, img.Reference, img.Descriptor, all)
	return append(notes, more...), err
}

// Refused reports whether a registry has refused what was attached to an image, and nobody insists.
func (a *Attester) Refused(ref string) bool {
	_, refuses := a.refusing.Load(hostOf(ref))
	return refuses && !a.strict()
}

// Put attaches what is said of an image that was just made and is in its registry, by digest, and signs the image if there is a
// signer. whole is the image itself. The rest is as [Attester.Attach] has it.
func (a *Attester) Put(ctx context.Context, ref string, whole v1.Descriptor, all []Said) (notes []string, err error) {
	if a.Refused(ref) {
		return nil, nil
	}
	sealed, err := a.seal(ctx, whole, all)
	if err != nil {
		return nil, err
	}
	var eg errgroup.Group
	for _, s := range sealed {
		eg.Go(func() error {
			_, err := a.Registry.AttachNew(ctx, ref, s.subject, s.attachments...)
			return err
		})
	}
	err = eg.Wait()
	if err == nil && a.Signer != nil && !a.Signer.Repeats() {
		_, err = evidence.Sign(ctx, a.Registry, ref, whole, a.Signer)
	}
	if err == nil || ctx.Err() != nil {
		return nil, err
	}
	refused := &RefusedError{Reference: ref, What: a.words(), Err: err}
	if a.strict() {
		return nil, refused
	}
	host := hostOf(ref)
	if _, known := a.refusing.LoadOrStore(host, true); known {
		return nil, nil
	}
	return []string{fmt.Sprintf("%s does not take what is attached to images, so they have no %s there: %v", host, a.words(), err)}, nil
}

// Keep attaches to an image of the image store what is wanted of it.
func (a *Attester) Keep(ctx context.Context, s *images.Store, img Image) (notes []string, err error) {
	all, notes, err := a.say(ctx, img, s.Open)
	if err != nil {
		return notes, err
	}
	sealed, err := a.seal(ctx, img.Descriptor, all)
	for _, said := range sealed {
		if err == nil {
			err = s.Attach(ctx, said.subject, said.attachments...)
		}
	}
	return notes, err
}

// Any reports whether anything is attached to images that are pushed.
func (a *Attester) Any() bool { return a.Wants.Any() || a.Signer != nil }

// strict reports whether an image fails that has not got what is said of it.
func (a *Attester) strict() bool { return a.Wants.Demanded || a.Signer != nil }

func (a *Attester) words() string {
	switch {
	case a.Signer == nil:
		return a.Wants.words()
	case a.Wants.Any():
		return a.Wants.words() + " and signature"
	}
	return "signature"
}

func hostOf(ref string) string {
	r, err := schema.ParseImageRef(ref)
	if err != nil {
		return ref
	}
	return r.Registry
}

// say writes down what is said of an image: of the whole how it was made, and of each platform's image what is in it.
func (a *Attester) say(ctx context.Context, img Image, open opener) (all []Said, notes []string, err error) {
	if a.Wants.Provenance != "" {
		made, err := img.Making.Statements(img.Descriptor.Digest.String(), a.Wants.Provenance)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, Said{img.Descriptor, made})
	}
	if a.Wants.SBOM {
		about := img.About
		about.Layers = a.Layers
		lists, err := inventory.Of(ctx, img.Reference, img.Descriptor, img.Manifest, open, about)
		if err != nil && (a.Wants.Demanded || ctx.Err() != nil) {
			return nil, nil, fmt.Errorf("looking into %s: %w", img.Reference, err)
		}
		if err != nil {
			notes = append(notes, fmt.Sprintf("the image has no SBOM: looking into it: %s", plain.Line(err.Error())))
		}
		for _, l := range lists {
			for _, unread := range l.Unread {
				notes = append(notes, "its SBOM lacks what cannot be read: "+unread)
			}
			s, err := l.Statement()
			if err != nil {
				return nil, nil, err
			}
			all = append(all, Said{l.Subject, []*attestation.Statement{s}})
		}
	}
	slices.Sort(notes)
	return all, slices.Compact(notes), nil
}

// A sealed is all that is attached to one digest.
type sealed struct {
	subject     v1.Descriptor
	attachments []registry.Attachment
}

// seal makes of what is said of an image what is attached, with its signature if that is always the same.
func (a *Attester) seal(ctx context.Context, whole v1.Descriptor, all []Said) ([]sealed, error) {
	if a.Signer != nil && a.Signer.Repeats() {
		all = append(slices.Clip(all), Said{whole, []*attestation.Statement{attestation.Signature(whole.Digest.String())}})
	}
	var out []sealed
	for _, s := range all {
		at := slices.IndexFunc(out, func(o sealed) bool { return o.subject.Digest == s.Subject.Digest })
		if at < 0 {
			at, out = len(out), append(out, sealed{subject: s.Subject})
		}
		for _, statement := range s.Statements {
			one, err := evidence.Seal(ctx, statement, a.Signer)
			if err != nil {
				return nil, err
			}
			out[at].attachments = append(out[at].attachments, one)
		}
	}
	return out, nil
}

// An opener opens a blob, and compares what is read with its digest.
type opener = func(v1.Descriptor) (io.ReadCloser, error)

// opener asks the builder that made an image, which has all of it at hand, and otherwise the registry that has got it.
func (a *Attester) opener(ctx context.Context, img Image) opener {
	return func(d v1.Descriptor) (io.ReadCloser, error) {
		if img.Blob != nil {
			r, err := img.Blob(ctx, d.Digest.String())
			if err == nil || ctx.Err() != nil {
				return r, err
			}
		}
		return a.Registry.OpenBlob(ctx, img.Reference, d)
	}
}
