// Package words has the words that images, templates and the watchdog are spoken of with,
// each written down once: labels such as [LabelInput], which watchdog an image has, such as
// [WatchdogDefault], how it calls a function, such as [ModeHTTP], and what a Dockerfile is
// told of packages, such as [PackageManagerArg].
package words

// What fnb says of an image, in labels of its configuration and in annotations of its
// manifests.
const (
	// LabelInput is the image's input digest.
	LabelInput = "fnb.input"
	// LabelTemplate is what an image is made by: the name of its template, and the version
	// of one out of a store.
	LabelTemplate = "fnb.template"
	// LabelTemplateChecksum is the checksum of the template's files.
	LabelTemplateChecksum = "fnb.template.checksum"
	// LabelWatchdog is which watchdog an image has: one of the words, or a reference.
	LabelWatchdog = "fnb.watchdog"

	// LabelDebugger marks an image whose function is started under a debugger, with what an
	// editor calls that. No registry gets such an image.
	LabelDebugger = "fnb.debugger"

	// LabelLayers says what the layers of an image are there for, as schema/layers reads it. It and
	// [LabelClass] are of each platform's image, and not of its index.
	LabelLayers = "fnb.layers"
	// LabelClass says how the layers above the base image came to be: [ClassCopy] or [ClassRun].
	LabelClass = "fnb.class"

	// The rest are words of the OCI image specification.

	LabelTitle      = "org.opencontainers.image.title"
	LabelCreated    = "org.opencontainers.image.created"
	LabelRevision   = "org.opencontainers.image.revision"
	LabelSource     = "org.opencontainers.image.source"
	LabelBaseName   = "org.opencontainers.image.base.name"
	LabelBaseDigest = "org.opencontainers.image.base.digest"
)

// AnnotationRefName is how an OCI image layout says what an image is called.
const AnnotationRefName = "org.opencontainers.image.ref.name"

// AnnotationLayer is the role of a layer in an image, such as "watchdog".
const AnnotationLayer = "fnb.layer"

// AnnotationPrevious is, of a function that was deployed, the image that ran before, with its digest.
const AnnotationPrevious = "fnb.previous-image"

// What a layer is there for.
const (
	RoleBase     = "base"     // it is of the base image
	RolePackages = "packages" // nothing of the handler is in it: packages, and what the template brings
	RoleHandler  = "handler"
	RoleWatchdog = "watchdog"
)

// Roles returns all that a layer may be there for.
func Roles() []string { return []string{RoleBase, RolePackages, RoleHandler, RoleWatchdog} }

// How the layers above a base image came to be.
const (
	ClassCopy = "copy" // files were copied: nothing ran in the base image, and nothing was asked of it
	ClassRun  = "run"  // a step ran in it, and what that left may depend on it
)
