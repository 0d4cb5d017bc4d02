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

	"fnb/audit/osv"
	"fnb/images"
	"fnb/internal/once"
	"fnb/registry"
	"fnb/registry/whole"
	"fnb/sbom"
	"fnb/sbom/scan"
	"fnb/schema"
)

// A base is a base image as its registry has it. What is in it is looked at when it is asked for, once a platform.
type base struct {
	reference string // as images name it, with its tag
	digest    string
	at        string // repository that it is read from, which may be a mirror's
	whole     *whole.Image
	client    *registry.Client
	layers    *scan.Cache

	mu    sync.Mutex
	parts map[string]*parsed     // of platforms, by digest
	found map[string]*scan.Found // the same
}

// part is the image of a platform.
func (b *base) part(p v1.Platform) (*parsed, error) {
	at := slices.IndexFunc(b.whole.Parts, func(have whole.Part) bool {
		h := have.Descriptor.Platform
		return h.OS == p.OS && h.Architecture == p.Architecture && (h.Variant == p.Variant || h.Variant == "" || p.Variant == "")
	})
	if at < 0 {
		return nil, fmt.Errorf("%s has no image for %s", b.reference, platformOf(p))
	}
	key := b.whole.Parts[at].Descriptor.Digest.String()
	b.mu.Lock()
	defer b.mu.Unlock()
	if known := b.parts[key]; known != nil {
		return known, nil
	}
	part, err := parse(b.whole.Parts[at])
	if err != nil {
		return nil, fmt.Errorf("the base image %s@%s: %w", b.reference, key, err)
	}
	if b.parts == nil {
		b.parts = map[string]*parsed{}
	}
	b.parts[key] = part
	return part, nil
}

func platformOf(p v1.Platform) string {
	return images.PlatformOf(v1.Descriptor{Platform: &p}).String()
}

// contents is what is installed in the image of a platform.
func (b *base) contents(ctx context.Context, p *parsed) (*scan.Found, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := p.Descriptor.Digest.String()
	if f, ok := b.found[key]; ok {
		return f, nil
	}
	opened, err := b.client.Open(ctx, b.at+"@"+key, schema.Platform{})
	if err != nil {
		return nil, err
	}
	f, err := b.layers.Image(ctx, opened.Image)
	if err != nil {
		return nil, fmt.Errorf("looking into %s: %w", b.reference, err)
	}
	if b.found == nil {
		b.found = map[string]*scan.Found{}
	}
	b.found[key] = &f
	return &f, nil
}

// A runtime is a language's, as its images say its version.
type runtime struct {
	variable string
	parts    int // of the version that must not change; 0 is all
}

// runtimes are those that files above a base image may be made for. The archive of classes that
// the template java makes is one virtual machine's.
func runtimes() []runtime {
	return []runtime{{"PYTHON_VERSION", 2}, {"NODE_VERSION", 1}, {"JAVA_VERSION", 0}, {"DENO_VERSION", 2}, {"BUN_VERSION", 2}, {"RUBY_VERSION", 2}, {"PHP_VERSION", 2}, {"DOTNET_VERSION", 2}}
}

// compatible is an error that says why files that were made for one base image need not work on another.
func compatible(old, to *scan.Found, oldEnv, toEnv []string) error {
	switch o, t := old.System, to.System; {
	case (o.ID == "") != (t.ID == ""):
		return errors.New("nothing in one of the base images says of which distribution it is")
	case o.ID != t.ID:
		return fmt.Errorf("the new base image is %s, and the old one %s", t.ID, o.ID)
	case release(o) != release(t):
		return fmt.Errorf("the new base image is %s %s, and the old one %s", t.ID, t.Version, o.Version)
	}
	have := distribution(to)
	for name, was := range distribution(old) {
		is, ok := have[name]
		if !ok {
			return fmt.Errorf("the new base image has no package %s, which the old one has", name)
		}
		if (strings.HasPrefix(name, "lib") || name == "musl" || name == "glibc") && osv.Order(was.Ecosystem, is.Version, was.Version) < 0 {
			return fmt.Errorf("%s is older in the new base image, %s after %s", name, is.Version, was.Version)
		}
	}
	before, after := variables(oldEnv), variables(toEnv)
	for _, r := range runtimes() {
		if b, a := first(before[r.variable], r.parts), first(after[r.variable], r.parts); b != a {
			return fmt.Errorf("%s is %s in the new base image, and was %s", r.variable, cmp.Or(after[r.variable], "not there"), cmp.Or(before[r.variable], "not there"))
		}
	}
	return nil
}

// release is the part of a distribution's version that says what works on it: Alpine's has
// another number behind.
func release(s sbom.System) string {
	if s.ID == "alpine" {
		return first(s.Version, 2)
	}
	return s.Version
}

// first are the first parts of a version; of 0, all.
func first(version string, parts int) string {
	all := strings.Split(version, ".")
	if parts == 0 || len(all) <= parts {
		return version
	}
	return strings.Join(all[:parts], ".")
}

// distribution are the packages of a distribution, by name.
func distribution(f *scan.Found) map[string]sbom.Package {
	all := map[string]sbom.Package{}
	for _, p := range f.Packages {
		if e, _, _ := strings.Cut(p.Ecosystem, ":"); e == sbom.Debian || e == sbom.Ubuntu || e == sbom.Alpine {
			all[p.Name] = p
		}
	}
	return all
}

// maxChanges is how many packages are named that differ.
const maxChanges = 100

// changes are the packages that differ between two base images, in words.
func changes(old, to *scan.Found) []string {
	before, after := distribution(old), distribution(to)
	var out []string
	for name, is := range after {
		if was, ok := before[name]; !ok {
			out = append(out, name+" "+is.Version+" is new")
		} else if was.Version != is.Version {
			out = append(out, name+" "+was.Version+" becomes "+is.Version)
		}
	}
	slices.Sort(out)
	if len(out) > maxChanges {
		out = append(out[:maxChanges], fmt.Sprintf("and %d more", len(out)-maxChanges))
	}
	return out
}

// A shelf has base images, each read once.
type shelf struct {
	client *registry.Client
	places func(ref schema.ImageRef) []string // where to look for one; nil is itself
	layers *scan.Cache                        // what was found in layers before

	known once.Map[string, *base] // by reference and digest
}

// get is the base image that had a reference when it had a digest.
func (s *shelf) get(ctx context.Context, reference, digest string) (*base, error) {
	return s.known.Get(ctx, reference+"@"+digest, func() (*base, error) {
		ref, err := schema.ParseImageRef(reference)
		if err != nil {
			return nil, err
		}
		if ref.Digest = digest; digest == "" {
			return nil, errors.New("the image does not say by which digest it has it")
		}
		return s.read(ctx, ref)
	})
}

// all are those that were read, in one order.
func (s *shelf) all() (out []*base) {
	made := s.known.Made()
	for _, key := range slices.Sorted(maps.Keys(made)) {
		out = append(out, made[key])
	}
	return out
}

// read reads a base image from the first place that has it.
func (s *shelf) read(ctx context.Context, ref schema.ImageRef) (*base, error) {
	named := ref.Full()
	named.Digest = ""
	ref = ref.Exact()
	places := []string{ref.String()}
	if s.places != nil {
		places = s.places(ref)
	}
	var errs []error
	for _, place := range places {
		w, err := whole.Read(ctx, s.client, place)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		at, err := schema.ParseImageRef(place)
		if err != nil {
			return nil, err
		}
		return &base{reference: named.String(), digest: w.Descriptor.Digest.String(), at: at.Name(), whole: w, client: s.client, layers: s.layers}, nil
	}
	return nil, errors.Join(errs...)
}
