package pipeline

import (
	"fnb/builder"
	"fnb/builder/buildcache"
	"fnb/packaging"
	"fnb/pipeline/attest"
	"fnb/schema"
)

// Settings say how functions are built. The zero value builds the functions as the stack
// file says, for the builder's own platform, into the image store.
type Settings struct {
	Inputs      Inputs
	Pinning     Pinning
	Cache       Caching
	Destination Destination
	Allow       []string // absolute paths outside of the stack file's folder that its paths may lead to
	Tags        []string // rules for the tags of images, as [schema.ValidateTag] checks them; none is latest
	Parallel    int      // how many functions are solved at a time; less than 1 is 1
	NoCache     bool     // run every step again, and look for no image of equal inputs
	NoInputTag  bool     // give a pushed image no tag of its inputs
	Test        bool     // also run the tests of handlers; one that fails fails the function
	Debug       bool     // make images for debuggers where templates have one; they only run
	Explain     bool     // say which inputs changed since a function's last build
	Authorities []byte   // certificates in PEM that RUN steps trust beside those of [Means]; no input of an image
	// CompareOnly has functions only compared: no builder and no registry is asked, and
	// what is not known without them is left out of the inputs.
	CompareOnly bool
	// Wording says what a note is for whoever reads the reports; nil is its text.
	Wording func(Note) string
}

// Inputs are what decides images, beside what the stack file says.
type Inputs struct {
	BuildArgs    map[string]string // before those of a function
	BuildOptions []string          // beside those of a function
	Copies       []string          // paths that are copied into every handler
	Secrets      map[string][]byte // by id, before those of a function
	SecretFiles  []string          // absolute paths of files with secrets, which no image may have
	SSH          []builder.SSHAgent
	Labels       map[string]string
	Watchdog     string           // before what functions and templates say; "" is what they say
	Target       string           // the stage that images are made of; "" is the last
	Platforms    schema.Platforms // before those of a function
	NoAccelerate bool             // leave Dockerfiles as they are written
	Epoch        *int64           // time of images, Unix seconds; nil is builder.DefaultEpoch
	// Source are labels that say where the source came from; nil is what git says.
	Source map[string]string
	// Relock is set where locks of packages are made, and nothing else.
	Relock *packaging.Relock
	// Apart has cache mounts that no other build has.
	Apart bool
}

// Pinning says what may be looked up and pinned.
type Pinning struct {
	Frozen   bool // an entry that the lock lacks is an error
	Offline  bool // no network is used
	Pull     bool // base images are looked up again, and their pins moved
	Upgrade  bool // pins of watchdogs are moved too
	OpenFaaS bool // names of OpenFaaS's template store are found, for stacks of OpenFaaS
}

// Caching says where build cache is read and written. "%s" in what tells one cache from
// another is the function's name.
type Caching struct {
	Imports []buildcache.Cache
	Exports []buildcache.Cache
	Share   Sharing
}

// Sharing says how functions share build cache in their registry.
type Sharing string

// Ways to share build cache.
const (
	ShareNothing Sharing = ""
	ShareRead    Sharing = "read" // it is read
	ShareAuto    Sharing = "auto" // it is read and written
)

// A Destination is where images go.
type Destination struct {
	Secrets map[string][]byte // with ToContainer, of functions; one that build_secrets names is for the build
	Kind    DestinationKind
	// Path is that of a file or folder; "%s" in it is the function's name. Build contexts
	// are written to a folder below it for each function.
	Path string
	// Attest is what is said of images in a registry or the image store.
	Attest attest.Wants
}

// A DestinationKind is a kind of place where images go.
type DestinationKind string

// Kinds of destinations.
const (
	ToStore     DestinationKind = ""          // the image store
	ToRegistry  DestinationKind = "push"      // straight from the builder to the registry
	ToEngine    DestinationKind = "load"      // a Docker Engine
	ToOCI       DestinationKind = "oci"       // a file with an OCI image layout
	ToArchive   DestinationKind = "docker"    // a file for docker load
	ToFolder    DestinationKind = "local"     // a folder with the root file system
	toRootFS    DestinationKind = "rootfs"    // a file with a root file system that a virtual machine boots of
	ToContainer DestinationKind = "container" // it only runs, in the builder
	ToContexts  DestinationKind = "context"   // nothing is built: build contexts are written
)

// shared reports whether functions with one image need it only once there: a file, a
// folder and a container are each function's own.
func (d Destination) shared() bool {
	return d.Kind == ToStore || d.Kind == ToRegistry || d.Kind == ToEngine
}
