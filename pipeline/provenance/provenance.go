// Package provenance says of an image how it was made, in statements that other tools read:
// [Making.Statements].
package provenance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"fnb/packaging"
	"fnb/schema"
	"fnb/trust/attestation"
)

// What fnb calls its own. They name a format, and lead nowhere.
const (
	BuildType       = "urn:fnb:build:1"  // of the provenance: docs/formats.md says what is in it
	BuilderID       = "urn:fnb:builder"  // whoever runs fnb: who that is, a signature says
	PredicateInputs = "urn:fnb:inputs:1" // the list of inputs
)

// A Detail says how much provenance tells; "" has none written.
type Detail string

// Details.
const (
	Min Detail = "min" // what decides the image, and nothing else: equal inputs make equal bytes
	Max Detail = "max" // with times, steps, the builder and the source's revision
)

// A Making is what is known of how an image was made.
type Making struct {
	Function  string
	Reference string // of the template, as the stack has it
	Template  schema.Pin
	Target    string
	Platforms []schema.Platform
	Bases     map[string]string // digests by reference
	Inputs    packaging.Inputs
	Tested    string // the stage that ran the function's tests; "" where none did

	// For [Max] alone.

	Version  string             // of fnb
	Builders []string           // addresses
	Began    time.Time          // the solve
	Ended    time.Time          //
	Seconds  map[string]float64 // by phase
	Labels   map[string]string  // of the image: its source and revision
}

// Statements are what is said of the image of a digest: its provenance, the list of its
// inputs, and if tests were run that they passed.
func (m *Making) Statements(digest string, d Detail) ([]*attestation.Statement, error) {
	about := attestation.Image(digest)
	said := []struct {
		predicateType string
		predicate     any
	}{
		{attestation.PredicateProvenance, m.provenance(d)},
		{PredicateInputs, inputs{Digest: m.Inputs.Digest(), Inputs: m.Inputs}},
	}
	if m.Tested != "" {
		said = append(said, struct {
			predicateType string
			predicate     any
		}{attestation.PredicateTestResult, testResult{
			Result: "PASSED", Configuration: []attestation.Resource{m.dockerfile()}, PassedTests: []string{m.Tested},
		}})
	}
	var all []*attestation.Statement
	for _, s := range said {
		st, err := attestation.New(s.predicateType, s.predicate, about)
		if err != nil {
			return nil, err
		}
		all = append(all, st)
	}
	return all, nil
}

// inputs is the predicate of a list of inputs.
type inputs struct {
	Digest string           `json:"digest"` // the input digest
	Inputs packaging.Inputs `json:"inputs"`
}

// testResult is in-toto's predicate of tests.
type testResult struct {
	Result        string                 `json:"result"`
	Configuration []attestation.Resource `json:"configuration"`
	PassedTests   []string               `json:"passedTests"`
}

// slsa is the predicate of SLSA's provenance, version 1.
type slsa struct {
	BuildDefinition definition `json:"buildDefinition"`
	RunDetails      run        `json:"runDetails"`
}

type definition struct {
	BuildType            string                 `json:"buildType"`
	ExternalParameters   any                    `json:"externalParameters"`
	InternalParameters   any                    `json:"internalParameters"`
	ResolvedDependencies []attestation.Resource `json:"resolvedDependencies"`
}

type external struct {
	Function  string            `json:"function"`
	Template  string            `json:"template"`
	Platforms []string          `json:"platforms"`
	Target    string            `json:"target,omitempty"`
	BuildArgs map[string]string `json:"buildArgs,omitempty"` // SHA-256 of each value, which may be private
	Secrets   []string          `json:"secrets,omitempty"`   // ids
}

type internal struct {
	Inputs string `json:"inputs"` // the input digest
}

type run struct {
	Builder    builder                `json:"builder"`
	Metadata   *metadata              `json:"metadata,omitempty"`
	Byproducts []attestation.Resource `json:"byproducts,omitempty"`
}

type builder struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

type metadata struct {
	StartedOn  time.Time `json:"startedOn"`
	FinishedOn time.Time `json:"finishedOn"`
}

func (m *Making) provenance(d Detail) slsa {
	e := external{Function: m.Function, Template: m.Reference, Target: m.Target, BuildArgs: m.valued("build arg ")}
	for _, platform := range m.Platforms {
		e.Platforms = append(e.Platforms, platform.String())
	}
	slices.Sort(e.Platforms)
	e.Secrets = slices.Sorted(maps.Keys(m.valued("secret ")))
	p := slsa{
		BuildDefinition: definition{
			BuildType:            BuildType,
			ExternalParameters:   e,
			InternalParameters:   internal{Inputs: m.Inputs.Digest()},
			ResolvedDependencies: m.dependencies(),
		},
		RunDetails: run{Builder: builder{ID: BuilderID}},
	}
	if d == Max {
		m.more(&p)
	}
	return p
}

// more adds what differs from one build to the next.
func (m *Making) more(p *slsa) {
	if source := m.Labels["org.opencontainers.image.source"]; source != "" {
		r := attestation.Resource{Name: "source", URI: source}
		if revision := m.Labels["org.opencontainers.image.revision"]; revision != "" {
			r.Digest = map[string]string{"gitCommit": revision}
		}
		p.BuildDefinition.ResolvedDependencies = append(p.BuildDefinition.ResolvedDependencies, r)
	}
	p.RunDetails.Builder.Version = map[string]string{"fnb": m.Version}
	p.RunDetails.Metadata = &metadata{StartedOn: m.Began.UTC().Truncate(time.Millisecond), FinishedOn: m.Ended.UTC().Truncate(time.Millisecond)}
	steps, err := json.Marshal(struct {
		Builders []string           `json:"builders,omitempty"`
		Seconds  map[string]float64 `json:"seconds"`
	}{m.Builders, m.Seconds})
	if err == nil {
		p.RunDetails.Byproducts = []attestation.Resource{{Name: "phases", MediaType: "application/json", Content: steps}}
	}
}

// valued are the inputs of a kind, by what follows it in their names.
func (m *Making) valued(kind string) map[string]string {
	found := map[string]string{}
	for _, in := range m.Inputs {
		if name, ok := strings.CutPrefix(in.Name, kind); ok {
			found[name] = in.Value
		}
	}
	return found
}

// dependencies are what the image is made of, in one order.
func (m *Making) dependencies() []attestation.Resource {
	all := []attestation.Resource{m.template(), m.dockerfile(), m.files()}
	for _, ref := range slices.Sorted(maps.Keys(m.Bases)) {
		if m.Bases[ref] != "" {
			all = append(all, named("base", "docker-image://"+ref, m.Bases[ref]))
		}
	}
	watchdogs := m.valued("watchdog ")
	for _, platform := range slices.Sorted(maps.Keys(watchdogs)) {
		if strings.Contains(watchdogs[platform], ":") {
			all = append(all, named("watchdog", "urn:fnb:watchdog:"+platform, watchdogs[platform]))
		}
	}
	return all
}

// named is the content of a digest, and what it is called.
func named(name, uri, digest string) attestation.Resource {
	r := attestation.Image(digest)
	r.Name, r.URI = name, uri
	return r
}

// template is the template by the checksum of its files, which is fnb's own, and the commit.
func (m *Making) template() attestation.Resource {
	r := attestation.Resource{Name: "template", URI: m.Template.Source, Digest: map[string]string{}}
	if r.URI == "" {
		r.URI = "urn:fnb:template:" + m.Template.Store
	}
	if hash, ok := strings.CutPrefix(m.Template.Checksum, "fnb1:sha256:"); ok {
		r.Digest["fnb1"] = hash
	}
	if m.Template.Commit != "" {
		r.Digest["gitCommit"] = m.Template.Commit
	}
	if m.Template.Version != "" {
		r.Annotations = map[string]any{"version": m.Template.Version}
	}
	return r
}

// dockerfile is the Dockerfile by its content, as it was built.
func (m *Making) dockerfile() attestation.Resource {
	files := m.valued("file ")
	name := m.valued("dockerfile")[""]
	r := attestation.Resource{Name: "Dockerfile"}
	if mode, sum, ok := strings.Cut(files[name], " "); ok && mode != "" {
		r.Digest = map[string]string{"sha256": strings.TrimPrefix(sum, "sha256:")}
	}
	return r
}

// files are all files of the build context as one, by a hash of their list: the list itself
// is a statement of its own.
func (m *Making) files() attestation.Resource {
	h := sha256.New()
	files := m.valued("file ")
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(h, "%q %q\n", name, files[name])
	}
	return attestation.Resource{
		Name: "context", Digest: map[string]string{"sha256": hex.EncodeToString(h.Sum(nil))},
		Annotations: map[string]any{"files": len(files)},
	}
}
