package builder

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"fnb/builder/buildcache"
	"fnb/builder/buildcontext"
	"fnb/builder/display"
	"fnb/builder/steps"
	"fnb/builder/watchdog"
	"fnb/internal/lazyregexp"
	"fnb/schema"
)

// DefaultEpoch is the Unix time of everything in an image that has no better one.
const DefaultEpoch = buildcontext.Epoch

// A Request is one function's image to be made.
type Request struct {
	Name string // of the function; goes before its progress
	// Affinity is equal for functions that share much of what they are built
	// of, such as their template: a fleet gives them to the same builder. "" is
	// the function's name.
	Affinity string
	Context  fs.FS // the build context; read during Solve
	// Sums are SHA-256 sums of files of Context, in hex, by path. One that is
	// there spares a reading; one that is wrong fails the solve.
	Sums map[string]string
	Recipe
	Inputs
	Platforms []schema.Platform // none is the builder's own

	Watchdog Watchdog
	Config   schema.ImageConfig
	Epoch    *int64 // SOURCE_DATE_EPOCH, Unix seconds; nil is DefaultEpoch

	Caches
	Output   Output
	Progress *display.Progress // nil is silence
	// Turn, when not nil, is called once every step is done, before the image is
	// delivered, and may wait. What it returns is called with how the delivery
	// ended. A fleet calls it for each builder that makes a part of the image.
	Turn func(ctx context.Context) (end func(error), err error)
	Access
}

// A Recipe is the Dockerfile of a request, and how its steps are run.
type Recipe struct {
	Dockerfile string // path in the build context; "" is "Dockerfile"
	BuildArgs  map[string]string
	// Images are the references of all images that the Dockerfile reads, as it has them.
	// With Bases, the output, the caches and the watchdog they say which registries the
	// builder may have credentials for.
	Images  []string
	Base    string            // image that Target is made of, to be named in the labels; "" is not known
	Bases   map[string]string // digests to take images by, under their full references
	Target  string            // stage to stop at; "" is the last
	Test    string            // stage to solve first, whose result is dropped; "" is none
	Beside  string            // stage to solve beside Target, whose result is dropped; "" is none
	Handler string            // the handler's folder in the build context; "." is all of it
	Lists   []string          // files of the build context that say which packages to install
	NoCache bool
	Pull    bool // ask the registry for base images again
	// Failed, when not nil, is called with a step that failed, and the solve waits until it
	// returns. Of several platforms it may be called by each.
	Failed func(ctx context.Context, f *steps.Failure)
	// CacheMounts tells the folders that RUN steps mount as caches apart: requests have
	// those in common for which it is equal. "" is those of all other builds. A build
	// arg BUILDKIT_CACHE_MOUNT_NS goes before it.
	CacheMounts string
}

// Inputs are what steps may use and no image has.
type Inputs struct {
	Secrets map[string][]byte // by id
	SSH     []SSHAgent
	Proxy   map[string]string // http_proxy, https_proxy, no_proxy …; never part of a cache key
	// Authorities are certificates in PEM that steps trust beside those of their image, as
	// [authority.Read] returns them.
	Authorities []byte

	trusted map[string][]byte // what is handed out like Secrets, and is none
}

// Caches are where build cache is read and written.
type Caches struct {
	CacheFrom []buildcache.Cache
	CacheTo   []buildcache.Cache
}

// Access says which credentials a builder may have, and what it may read.
type Access struct {
	// Registries are further hosts that the builder may have credentials for, such as
	// its mirrors.
	Registries []string
	// Credentials returns the user name and password or token for a
	// registry's host, both "" for none. nil is no credentials.
	Credentials func(ctx context.Context, host string) (user, secret string, err error)
	// Gate, when not nil, is asked about all that is read from elsewhere.
	Gate *Gate
}

// An SSHAgent is an agent socket or keys that a build may use.
type SSHAgent struct {
	ID    string
	Paths []string // none is SSH_AUTH_SOCK
}

// A Watchdog says what is layered onto the Dockerfile's result.
type Watchdog = watchdog.Layer

// An Output says where an image goes. Of the first seven fields one is set; the zero value
// makes the image and keeps it in the builder's cache only.
type Output struct {
	Store  string                         // folder of an OCI image layout; blobs are added to it, index.json is the caller's
	Push   []string                       // references that the builder pushes to
	OCI    func() (io.WriteCloser, error) // receives an OCI image layout as a tar
	Docker func() (io.WriteCloser, error) // receives a tar for docker load
	Local  string                         // folder that receives the root file system
	Tar    func() (io.WriteCloser, error) // receives the root file system as a tar

	// Engine gives the image to the Docker Engine that the builder is a part of.
	Engine bool

	Names     []string // with OCI, Docker and Engine: what the image is called
	PlainHTTP bool     // with Push: the registry speaks plain HTTP
	ByDigest  bool     // with Push: without a tag, which somebody else writes
}

// exporterTimes reports whether what comes out is an image, in which the exporter
// sets every later time to that of a build context.
func (r *Request) exporterTimes() bool {
	out := r.Output
	return r.epoch() <= DefaultEpoch && (out.Store != "" || len(out.Push) > 0 || out.OCI != nil || out.Docker != nil)
}

// A Result is an image that was made.
type Result struct {
	Digest    string // of the manifest or index; "" with Output.Local, Output.Tar and without an output
	MediaType string
	Size      int64 // of the manifest or index
	// Manifest is what was pushed under the digest, where the builder says it; nil
	// where only the registry can be asked.
	Manifest   []byte
	Platforms  []schema.Platform
	CachedPart float64 // steps answered from the cache, of all steps: 0 to 1
	Warnings   []Warning
	Lints      []string // what BuildKit finds questionable in the Dockerfile, which is its author's to mend
	Sent       int64    // bytes of the build context that went to the builder
	Pushed     int64    // bytes of layers that went to the registry, as fnb's own builder says it; 0 with others
	Builders   []string // of a [fleet.Fleet]: the addresses of those that made it
	// Index is what the caller has to push under all references of Output.Push:
	// of an image whose platforms several builders have pushed by digest.
	Index []byte

	Labels map[string]string // of the image, and its annotations

	// Blob reads what the image is made of from the builder that made it, as [Client.Blob] does.
	Blob func(ctx context.Context, digest string) (io.ReadCloser, error)
}

func (r *Request) dockerfile() string {
	if r.Dockerfile == "" {
		return "Dockerfile"
	}
	return r.Dockerfile
}

// officialSyntax is what a Dockerfile's syntax line says where it asks for
// BuildKit's own frontend.
var officialSyntax = lazyregexp.New(`^(docker\.io/)?docker/dockerfile(:1(\.\d+){0,2})?(@sha256:[0-9a-f]{64})?$`)

// Frontend returns the image of the frontend that reads a Dockerfile: the one of the
// build arg BUILDKIT_SYNTAX or of the Dockerfile's syntax line. It is "" where that is
// BuildKit's own, which fnb has, so that there is nothing to pull from a registry.
func Frontend(dockerfile []byte, args map[string]string) string {
	ref, _, _, _ := parser.DetectSyntax(dockerfile)
	if words := strings.Fields(args["BUILDKIT_SYNTAX"]); len(words) > 0 {
		ref = words[0]
	}
	if officialSyntax.MatchString(ref) {
		return ""
	}
	return ref
}

// targets are the stages that are solved.
func (r *Request) targets() []string {
	return append([]string{r.Target}, slices.DeleteFunc([]string{r.Test, r.Beside}, func(s string) bool { return s == "" })...)
}

func (r *Request) epoch() int64 {
	if r.Epoch == nil {
		return DefaultEpoch
	}
	return *r.Epoch
}

// Check refuses a request that no builder could answer.
func (r *Request) Check() error {
	if r.Context == nil {
		return fmt.Errorf("function %s: a solve needs a build context", r.Name)
	}
	if _, err := fs.Stat(r.Context, r.dockerfile()); err != nil {
		return &SolveError{File: r.dockerfile(), Problem: "the build context has no " + r.dockerfile(), Err: err}
	}
	return nil
}
