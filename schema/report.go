package schema

import (
	"fmt"
)

// ReportVersion is the version of the format of a build report.
const ReportVersion = 1

// A Report is what one run of fnb build or fnb push produced: the build report.
// Its JSON only grows; a program that reads it has to ignore keys it does not know.
type Report struct {
	Version   int              `json:"version"` // of the format: 1
	Functions []FunctionReport `json:"functions"`
	Seconds   float64          `json:"seconds"` // of the whole run
}

// Marshal returns r as one indented JSON document that ends with a newline.
// Where Version is 0 it becomes [ReportVersion], and no functions are an empty
// list. A number of seconds that is not finite is an error.
func (r Report) Marshal() ([]byte, error) {
	if r.Version == 0 {
		r.Version = ReportVersion
	}
	if r.Functions == nil {
		r.Functions = []FunctionReport{}
	}
	data, err := marshalJSON(r)
	if err != nil {
		return nil, fmt.Errorf("writing the build report: %w", err)
	}
	return data, nil
}

// A FunctionReport is what became of one function.
type FunctionReport struct {
	Name        string             `json:"name"`
	Template    string             `json:"template,omitempty"` // reference, as the stack writes it
	Pin         *Pin               `json:"pin,omitempty"`
	Runtime     *RuntimeReport     `json:"runtime,omitempty"` // of the language, where the template says how it is chosen
	InputDigest string             `json:"input_digest,omitempty"`
	Reference   string             `json:"reference,omitempty"`
	Tags        []string           `json:"tags,omitempty"`
	Digest      string             `json:"digest,omitempty"`
	Platforms   []PlatformReport   `json:"platforms,omitempty"`
	Status      string             `json:"status"`             // built, cached, pushed, skipped, failed, context
	Cached      bool               `json:"cached,omitempty"`   // the builder had every step already
	Reason      string             `json:"reason,omitempty"`   // why it was skipped, or could not be
	Changes     []InputChange      `json:"changes,omitempty"`  // with --why: since the last build
	Seconds     map[string]float64 `json:"seconds,omitempty"`  // by phase: resolve, package, plan, check, wait, solve, push
	Context     int64              `json:"context,omitempty"`  // bytes sent to the builder
	Sent        int64              `json:"sent,omitempty"`     // bytes that went to the registry; 0 where only the builder knows
	Builders    []string           `json:"builders,omitempty"` // of a fleet, that made it
	Warnings    []string           `json:"warnings,omitempty"`
	Error       string             `json:"error,omitempty"`
}

// A RuntimeReport is the version of a language's runtime in an image.
type RuntimeReport struct {
	Name    string `json:"name"` // "python"
	Version string `json:"version"`
	From    string `json:"from"` // "hello/.python-version", "pyproject.toml (requires-python)", "build arg PYTHON_VERSION", "template"
}

// An InputChange is one input of an image that is not what it was.
type InputChange struct {
	Name string `json:"name"` // "file function/handler.py", "build arg DEBUG"
	How  string `json:"how"`  // added, changed or removed
}

// A PlatformReport is the image of one platform.
type PlatformReport struct {
	Platform string `json:"platform"`
	Digest   string `json:"digest"`
	Size     int64  `json:"size,omitempty"` // bytes of its compressed layers
}
