// Package allow asks the policy about what a pipeline uses: begin with an [Asker].
package allow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"fnb/builder"
	"fnb/pipeline/pins"
	"fnb/policy"
	"fnb/schema"
)

// An Asker asks the policy of a run. Several may use it at a time.
type Asker struct {
	Policy *policy.Policy // nil allows everything
	Pins   *pins.Set
	// Pinning is set where the lock is what is made, so that it may lack anything.
	Pinning bool
	// Signatures find out who has signed images.
	Signatures *Signatures

	mu    sync.Mutex
	notes []string
}

// Notes are what only warns, and was not taken yet.
func (a *Asker) Notes() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	notes := a.notes
	a.notes = nil
	return notes
}

// heard keeps notes, and hands on the error.
func (a *Asker) heard(notes []string, err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notes = append(a.notes, notes...)
	return err
}

// Build asks about a watchdog and the images that a build reads, as its Dockerfile has them,
// before anybody looks them up. Who has signed those that have a digest is asked too; about
// others [Asker.Signed] asks, when theirs is known.
func (a *Asker) Build(ctx context.Context, watchdog string, images []string) error {
	errs := []error{a.heard(a.Policy.Watchdog(watchdog))}
	for _, name := range images {
		ref, err := schema.ParseImageRef(name)
		if strings.Contains(name, "$") || err != nil {
			continue // the builder knows it, and asks
		}
		full := ref.Exact().String()
		errs = append(errs, a.heard(a.Policy.Image(policy.KindBase, policy.Image{
			Reference: full, Locked: ref.Digest != "" || a.Pinning || a.Pins.File().Bases[full] != "",
		})))
		if ref.Digest != "" {
			errs = append(errs, a.Signed(ctx, policy.KindBase, map[string]string{full: ref.Digest}))
		}
	}
	return errors.Join(errs...)
}

// Signed asks who has signed images of a kind, by their full references and digests.
func (a *Asker) Signed(ctx context.Context, kind policy.Kind, digests map[string]string) error {
	var errs []error
	for _, ref := range slices.Sorted(maps.Keys(digests)) {
		errs = append(errs, a.heard(a.Policy.Signed(kind, ref, a.Signatures.Look(ctx, ref, digests[ref]))))
	}
	return errors.Join(errs...)
}

// Run asks about images that are run, by their full references.
func (a *Asker) Run(refs []string) error {
	var errs []error
	for _, ref := range refs {
		errs = append(errs, a.heard(a.Policy.Image(policy.KindImage, policy.Image{
			Reference: ref, Locked: a.Pinning || a.Pins.File().Services[ref] != "",
		})))
	}
	return errors.Join(errs...)
}

// SignedServices asks who has signed the images of services, as far as the lock has them.
func (a *Asker) SignedServices(ctx context.Context, refs []string) error {
	digests := map[string]string{}
	for _, ref := range refs {
		if digest := a.Pins.Service(ref); digest != "" {
			digests[ref] = digest
		}
	}
	return a.Signed(ctx, policy.KindImage, digests)
}

// Gate has a builder ask about what it reads for images of a kind; nil where no rule is about
// that.
func (a *Asker) Gate(kind policy.Kind) *builder.Gate {
	if !a.Policy.Gates(kind) {
		return nil
	}
	return &builder.Gate{
		Check:   func(ctx context.Context, source string) (string, error) { return a.source(ctx, kind, source) },
		Unasked: a.Policy.Unasked,
	}
}

// source asks about what a solve is about to read. An image that has to be signed, and has no digest, is read by the
// digest that it has now.
func (a *Asker) source(ctx context.Context, kind policy.Kind, source string) (as string, err error) {
	scheme, ref, _ := strings.Cut(source, "://")
	name, digest, pinned := strings.Cut(ref, "@")
	image := scheme == "docker-image" || scheme == "docker-image+blob"
	if !image || pinned || !a.Policy.Signs(kind, ref) || a.Signatures.Registry == nil {
		return "", a.Policy.Source(kind, source, a.Signatures.Look(ctx, name, digest))
	}
	if err := a.Policy.Source(kind, source, nil); err != nil {
		return "", err
	}
	desc, err := a.Signatures.Registry.Head(ctx, ref)
	if err != nil {
		return "", fmt.Errorf("looking for signatures of %s: %w", ref, err)
	}
	return source + "@" + desc.Digest.String(), nil
}

// Dates notes when images of a kind were made that are looked up; the gate is nil where no
// rule is about that.
func (a *Asker) Dates(kind policy.Kind) (*builder.Gate, map[string]time.Time) {
	if !a.Policy.Dates(kind) {
		return nil, nil
	}
	made := map[string]time.Time{} // one after the other
	return &builder.Gate{Dated: func(ref string, at time.Time) { made[ref] = at }}, made
}

// Cooled puts earlier images in the place of those that were found and are too young, if the
// lock has them; if not, they are an error.
func (a *Asker) Cooled(kind policy.Kind, locked, found map[string]string, made map[string]time.Time) error {
	var errs []error
	for ref, digest := range found {
		if digest == locked[ref] {
			continue
		}
		notes, err := a.Policy.ImageAge(kind, ref, made[ref])
		if err != nil && locked[ref] != "" {
			found[ref] = locked[ref]
			notes, err = append(notes, fmt.Sprintf("%s stays at %s: %v", ref, pins.ShortDigest(locked[ref]), err)), nil
		}
		errs = append(errs, a.heard(notes, err))
	}
	return errors.Join(errs...)
}
