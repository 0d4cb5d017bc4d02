package provenance

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"fnb/packaging"
	"fnb/schema"
	"fnb/trust/attestation"
)

const (
	sumA  = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	sumB  = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	image = "sha256:" + sumB
)

func making() *Making {
	return &Making{
		Function: "hello", Reference: "acme/go@1",
		Template:  schema.Pin{Store: "corp", Version: "1.2.0", Checksum: "fnb1:sha256:" + sumA, Commit: "0123456789012345678901234567890123456789", Source: "https://git.example.com/t//go"},
		Platforms: []schema.Platform{{OS: "linux", Architecture: "arm64"}, {OS: "linux", Architecture: "amd64"}},
		Bases:     map[string]string{"docker.io/library/golang:1.26": "sha256:" + sumA, "docker.io/library/debian:12": "sha256:" + sumB, "unknown": ""},
		Inputs: packaging.Inputs{
			{Name: "build arg TOKEN", Value: "sha256:" + sumA},
			{Name: "dockerfile", Value: "Dockerfile"},
			{Name: "file Dockerfile", Value: "0644 " + sumB},
			{Name: "file function/main.go", Value: "0644 " + sumA},
			{Name: "secret npmrc"},
			{Name: "watchdog", Value: "default"},
			{Name: "watchdog linux/amd64", Value: "sha256:" + sumB},
		},
		Version: "1.0.0", Builders: []string{"tcp://secret-host:1234"}, Began: time.Unix(1700000000, 0), Ended: time.Unix(1700000009, 0),
		Seconds: map[string]float64{"solve": 9}, Labels: map[string]string{"org.opencontainers.image.source": "https://git.example.com/s", "org.opencontainers.image.revision": sumA[:40]},
	}
}

func bytesOf(t *testing.T, m *Making, d Detail) [][]byte {
	t.Helper()
	all, err := m.Statements(image, d)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for _, s := range all {
		raw, err := s.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if parsed, err := attestation.ParseStatement(raw); err != nil || !parsed.About(image) {
			t.Errorf("%s: %v", raw, err)
		}
		out = append(out, raw)
	}
	return out
}

// The least provenance has what decides the image and nothing else, so that it is the same
// whenever and wherever the image is made.
func TestMin(t *testing.T) {
	t.Parallel()
	m, again := making(), making()
	again.Version, again.Builders, again.Began, again.Ended, again.Seconds, again.Labels = "2.0.0", nil, time.Now(), time.Now(), nil, nil
	again.Platforms[0], again.Platforms[1] = again.Platforms[1], again.Platforms[0]
	first, second := bytesOf(t, m, Min), bytesOf(t, again, Min)
	if len(first) != 2 {
		t.Fatalf("%d statements", len(first))
	}
	for i := range first {
		if !bytes.Equal(first[i], second[i]) {
			t.Errorf("made again it is\n%s\nnot\n%s", second[i], first[i])
		}
	}
	for _, never := range []string{"secret-host", "2023-", "1.0.0", "startedOn", "invocationId"} {
		if strings.Contains(string(first[0]), never) {
			t.Errorf("it has %s: %s", never, first[0])
		}
	}
	again.Inputs[3].Value = "0644 " + sumB
	if bytes.Equal(first[0], bytesOf(t, again, Min)[0]) {
		t.Error("another file has the same provenance")
	}
}

// Its fields are where SLSA has them.
func TestFields(t *testing.T) {
	t.Parallel()
	m := making()
	m.Tested = "test"
	all, err := m.Statements(image, Max)
	if err != nil || len(all) != 3 {
		t.Fatalf("%d, %v", len(all), err)
	}
	var p struct {
		BuildDefinition struct {
			BuildType          string
			ExternalParameters struct {
				Function, Template string
				Platforms, Secrets []string
				BuildArgs          map[string]string
			}
			InternalParameters   struct{ Inputs string }
			ResolvedDependencies []attestation.Resource
		}
		RunDetails struct {
			Builder  struct{ ID string }
			Metadata struct{ StartedOn, FinishedOn time.Time }
		}
	}
	if err := json.Unmarshal(all[0].Predicate, &p); err != nil {
		t.Fatal(err)
	}
	d := p.BuildDefinition
	if d.BuildType != BuildType || d.ExternalParameters.Function != "hello" || d.ExternalParameters.BuildArgs["TOKEN"] != "sha256:"+sumA || d.InternalParameters.Inputs != m.Inputs.Digest() || p.RunDetails.Builder.ID != BuilderID {
		t.Errorf("%+v", p)
	}
	if got := p.RunDetails.Metadata.FinishedOn.Sub(p.RunDetails.Metadata.StartedOn); got != 9*time.Second {
		t.Errorf("it took %s", got)
	}
	var names []string
	for _, r := range d.ResolvedDependencies {
		if len(r.Digest) == 0 {
			t.Errorf("%s has no digest", r.Name)
		}
		names = append(names, r.Name)
	}
	if got := strings.Join(names, " "); got != "template Dockerfile context base base watchdog source" {
		t.Errorf("it is made of %s", got)
	}
	if all[2].PredicateType != attestation.PredicateTestResult || !strings.Contains(string(all[2].Predicate), `"result":"PASSED"`) {
		t.Errorf("%s: %s", all[2].PredicateType, all[2].Predicate)
	}
}
