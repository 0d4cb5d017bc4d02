package schema

// A Report is what one run of fnb build or fnb push produced.
type Report struct {
	Version   int              `json:"version"` // of the format: 1
	Functions []FunctionReport `json:"functions"`
	Seconds   float64          `json:"seconds"`
}

// A FunctionReport is what became of one function.
type FunctionReport struct {
	Name        string             `json:"name"`
	Template    string             `json:"template,omitempty"` // reference, as the stack writes it
	Pin         *Pin               `json:"pin,omitempty"`
	InputDigest string             `json:"input_digest,omitempty"`
	Reference   string             `json:"reference,omitempty"`
	Tags        []string           `json:"tags,omitempty"`
	Digest      string             `json:"digest,omitempty"`
	Platforms   []PlatformReport   `json:"platforms,omitempty"`
	Status      string             `json:"status"` // built, cached, skipped, pushed, failed
	Reason      string             `json:"reason,omitempty"`
	Seconds     map[string]float64 `json:"seconds,omitempty"` // by phase: resolve, package, solve, push
	Warnings    []string           `json:"warnings,omitempty"`
	Error       string             `json:"error,omitempty"`
}

// A PlatformReport is the image of one platform.
type PlatformReport struct {
	Platform string `json:"platform"`
	Digest   string `json:"digest"`
	Size     int64  `json:"size"` // bytes of its compressed layers
}
