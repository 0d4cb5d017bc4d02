package schema

// An ImageConfig is what fnb lays over the image configuration that a
// Dockerfile left.
type ImageConfig struct {
	// Entrypoint replaces the image's entrypoint and command when not empty.
	// Where the image's environment then has no fprocess, the replaced
	// entrypoint and command become it, with shell quoting.
	Entrypoint []string
	// Env is set in the image, replacing what the Dockerfile set.
	Env map[string]string
	// Labels are set in the image and, as annotations, on its manifests.
	Labels map[string]string
	// Healthcheck is the health check of an image that has none (exec form,
	// without the leading "CMD"). An extension of Docker's to the image config.
	Healthcheck []string
}
