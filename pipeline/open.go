package pipeline

import (
	"context"
	"path/filepath"
	"slices"
	"sync"

	"fnb/builder"
	"fnb/builder/display"
	"fnb/builder/fleet"
	"fnb/builder/steps"
	"fnb/images"
	"fnb/packaging"
	"fnb/pipeline/allow"
	"fnb/pipeline/attest"
	"fnb/pipeline/history"
	"fnb/pipeline/pins"
	"fnb/pipeline/queue"
	"fnb/policy"
	"fnb/registry"
	"fnb/sbom/scan"
	"fnb/schema"
	"fnb/store"
	"fnb/trust"
)

// A Pipeline carries the functions of a stack through the house: see [Pipeline.Build].
// Nothing of it but what guards itself changes while functions are under way.
type Pipeline struct {
	Means
	Stack *schema.Stack
	Reach schema.Reach // of the stack's paths
	Pins  *pins.Set

	settings  Settings
	history   history.Folder
	stats     *packaging.StatCache // nil reads every file
	git       *checkedOut
	hidden    func() packaging.Hidden // looked up once
	templates resolutions
	remotes   registries
	queue     *queue.Queue
	allow     *allow.Asker
	attester  *attest.Attester
	claimed   sync.Map // references of shared caches that somebody writes in this run
}

// Means are what a pipeline works with. Those that a command does not need may be missing.
type Means struct {
	Store    *store.Finder
	Registry *registry.Client
	Images   *images.Store // nil where images are kept in none
	Builder  *fleet.OnDemand
	Machine  *builder.Client   // runs containers
	Policy   *policy.Policy    // says what may be used; nil is everything
	Progress *display.Progress // nil shows nothing
	Signer   *trust.Signer     // signs what is pushed, and what is said of it; nil signs nothing
	CacheDir string            // for checksums of files, and what images were made of; "" keeps neither
	Mirrors  []string          // hosts that builders ask in the place of registries
	Proxy    map[string]string // proxy variables for RUN steps, which are no inputs
	// Authorities are certificates in PEM that RUN steps trust, which are no inputs either.
	Authorities []byte
	Version     string // of fnb, for what is said of how an image was made
	// Failed is called with a step that failed, whose build waits until it returns; nil is
	// nobody.
	Failed func(ctx context.Context, function string, f *steps.Failure)
}

// New returns a pipeline for the functions of a stack, which need not be in a file yet. It
// reads the stack's lock, and talks to nobody.
func New(stack *schema.Stack, s Settings, m Means) (*Pipeline, error) {
	lock, err := schema.ReadLock(LockFile(stack.File))
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(stack.File)
	p := &Pipeline{
		Means: m, Stack: stack, Reach: schema.Reach{Root: dir, Allow: s.Allow},
		Pins: pins.New(lock), settings: s, git: &checkedOut{dir: dir}, queue: queue.New(s.Parallel),
	}
	signatures := &allow.Signatures{}
	p.allow = &allow.Asker{Policy: m.Policy, Pins: p.Pins, Signatures: signatures}
	if s.CompareOnly {
		p.allow.Policy = nil // what is not used need not be allowed
	}
	p.attester = &attest.Attester{Wants: s.Destination.Attest, Signer: m.Signer, Registry: m.Registry, Layers: scan.Below(m.CacheDir)}
	p.hidden = sync.OnceValue(p.secretFiles)
	if !s.Pinning.Offline {
		signatures.Registry = m.Registry
	}
	if m.CacheDir != "" {
		p.stats = packaging.OpenStatCache(filepath.Join(m.CacheDir, "stats"), dir)
		p.history = history.Folder(filepath.Join(m.CacheDir, "builds"))
		signatures.Known = p.history
	}
	return p, nil
}

// At is a pipeline of the same settings for the stack of another folder, which keeps
// nothing of its files. Allow are the paths outside of that folder that its paths may lead to.
func (p *Pipeline) At(stack *schema.Stack, allow []string) (*Pipeline, error) {
	s, m := p.settings, p.Means
	s.Allow, m.CacheDir = allow, ""
	return New(stack, s, m)
}

// Close ends the display and the connection to the builder. It may be called twice.
func (p *Pipeline) Close() {
	if p.Progress != nil {
		p.Progress.Close()
	}
	if p.Builder != nil {
		p.Builder.Close()
	}
}

// LockFile is where a stack's pins are.
func LockFile(stackFile string) string {
	return filepath.Join(filepath.Dir(stackFile), "fnb.lock")
}

// WriteLock adds new pins to fnb.lock, unless it is frozen.
func (p *Pipeline) WriteLock() error {
	if p.settings.Pinning.Frozen {
		return nil
	}
	return p.Pins.Write(LockFile(p.Stack.File))
}

// pushes reports whether builders push images straight to registries.
func (p *Pipeline) pushes() bool { return p.settings.Destination.Kind == ToRegistry }

// secretFiles are the files with secrets of the settings and of all functions:
// what one of them keeps out of its image, no other one may have either.
func (p *Pipeline) secretFiles() packaging.Hidden {
	return packaging.Hide(filepath.Dir(p.Stack.File), slices.Concat(p.settings.Inputs.SecretFiles, p.Stack.BuildSecretFiles()))
}

// CheckPaths refuses paths of a function that lead too far, all at once.
func (p *Pipeline) CheckPaths(fn schema.Function) error {
	return p.Stack.CheckPaths(p.ownSecrets(fn), p.Reach)
}

// checkThere refuses paths of a function at which nothing is, all at once.
func (p *Pipeline) checkThere(fn schema.Function) error {
	fn = p.ownSecrets(fn)
	if p.settings.CompareOnly { // the values of secrets are no inputs
		fn.BuildSecrets = nil
	}
	return p.Stack.CheckThere(fn, p.Reach)
}

// ownSecrets is a function without those build secrets that the settings give
// another value, whatever the stack says of them.
func (p *Pipeline) ownSecrets(fn schema.Function) schema.Function {
	return fn.WithoutBuildSecrets(fn.GivenSecrets(p.settings.Inputs.Secrets, p.settings.Destination.Secrets))
}
