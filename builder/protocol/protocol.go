// Package protocol has the words that fnb's own builder and its clients use beside
// BuildKit's: labels such as [CachesLabel], and what the answers hold besides.
package protocol

// CachesLabel is the label by which fnb's own builder says which types of build
// cache it has, separated by commas.
const CachesLabel = "fnb.caches"

// NetworkLabel is where a BuildKit says which network RUN steps have.
const NetworkLabel = "org.mobyproject.buildkit.worker.network"

// fnb's own builder answers a push with the manifest or index too, under ManifestKey,
// where that is no longer than ManifestLimit, in bytes.
const (
	ManifestKey   = "fnb.manifest"
	ManifestLimit = 1 << 20
)

// PushingStatus is how fnb's own builder calls the progress of a layer on its way to a
// registry, in bytes; the layer's digest follows.
const PushingStatus = "pushing layer "

// fnb's own builder has the RUN steps of a solve trust certificates, and says so under
// TrustLabel. A client that wants it sets TrustAttribute of its solve, and has the
// certificates, in PEM, as the secret TrustSecret.
const (
	TrustLabel     = "fnb.trust"
	TrustAttribute = "fnb-trust"
	TrustSecret    = "fnb-trust"
)
