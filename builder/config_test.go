package builder

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"fnb/schema"
)

func TestPatchConfig(t *testing.T) {
	t.Parallel()
	entry := []string{"/usr/bin/fwatchdog"}
	tests := []struct {
		name    string
		image   string // what the Dockerfile left
		config  schema.ImageConfig
		layered bool
		want    string // the fields of config, and history
	}{
		{
			name:   "nothing asked for",
			image:  `{"config":{"Env":["A=1"],"Entrypoint":["x"],"Cmd":["y"]}}`,
			config: schema.ImageConfig{},
			want:   `{"config":{"Env":["A=1"],"Entrypoint":["x"],"Cmd":["y"]}}`,
		},
		{
			name:   "CMD becomes fprocess",
			image:  `{"config":{"Cmd":["python3","index.py"]}}`,
			config: schema.ImageConfig{Entrypoint: entry},
			want:   `{"config":{"Env":["fprocess=python3 index.py"],"Entrypoint":["/usr/bin/fwatchdog"],"ExposedPorts":{"8080/tcp":{}}}}`,
		},
		{
			name:   "ENTRYPOINT and CMD become fprocess, quoted for a shell",
			image:  `{"config":{"Entrypoint":["/bin/sh","-c"],"Cmd":["echo $A 'b c'"]}}`,
			config: schema.ImageConfig{Entrypoint: entry},
			want:   `{"config":{"Env":["fprocess=/bin/sh -c 'echo $A '\\''b c'\\'"],"Entrypoint":["/usr/bin/fwatchdog"],"ExposedPorts":{"8080/tcp":{}}}}`,
		},
		{
			name:   "ENV fprocess of the Dockerfile beats CMD",
			image:  `{"config":{"Env":["fprocess=cat"],"Cmd":["fwatchdog"]}}`,
			config: schema.ImageConfig{Entrypoint: entry},
			want:   `{"config":{"Env":["fprocess=cat"],"Entrypoint":["/usr/bin/fwatchdog"],"ExposedPorts":{"8080/tcp":{}}}}`,
		},
		{
			name:   "the settings beat ENV, in its place; new ones come sorted behind",
			image:  `{"config":{"Env":["PATH=/bin","fprocess=cat","LAST=1"]}}`,
			config: schema.ImageConfig{Entrypoint: entry, Env: map[string]string{"fprocess": "node index.js", "mode": "http", "b": "2"}},
			want:   `{"config":{"Env":["PATH=/bin","fprocess=node index.js","LAST=1","b=2","mode=http"],"Entrypoint":["/usr/bin/fwatchdog"],"ExposedPorts":{"8080/tcp":{}}}}`,
		},
		{
			name:   "without an entrypoint the environment alone is changed",
			image:  `{"config":{"Cmd":["fwatchdog"]}}`,
			config: schema.ImageConfig{Env: map[string]string{"fprocess": "cat"}},
			want:   `{"config":{"Env":["fprocess=cat"],"Cmd":["fwatchdog"]}}`,
		},
		{
			name:   "mode static needs no fprocess",
			image:  `{"config":{"ExposedPorts":{"80/tcp":{}}}}`,
			config: schema.ImageConfig{Entrypoint: entry, Env: map[string]string{"mode": "static"}},
			want:   `{"config":{"Env":["mode=static"],"Entrypoint":["/usr/bin/fwatchdog"],"ExposedPorts":{"80/tcp":{}}}}`,
		},
		{
			name:   "a health check where the Dockerfile has none",
			image:  `{"config":{"Cmd":["cat"]}}`,
			config: schema.ImageConfig{Healthcheck: []string{"/usr/bin/fwatchdog", "--run-healthcheck"}},
			want:   `{"config":{"Cmd":["cat"],"Healthcheck":{"Test":["CMD","/usr/bin/fwatchdog","--run-healthcheck"],"Interval":5000000000,"Timeout":3000000000,"StartPeriod":2000000000}}}`,
		},
		{
			name:   "the Dockerfile's health check stays",
			image:  `{"config":{"Cmd":["cat"],"Healthcheck":{"Test":["NONE"]}}}`,
			config: schema.ImageConfig{Healthcheck: []string{"x"}},
			want:   `{"config":{"Cmd":["cat"],"Healthcheck":{"Test":["NONE"]}}}`,
		},
		{
			name:   "labels are added and replaced",
			image:  `{"config":{"Labels":{"a":"1","b":"1"}}}`,
			config: schema.ImageConfig{Labels: map[string]string{"b": "2", "c": "3"}},
			want:   `{"config":{"Labels":{"a":"1","b":"2","c":"3"}}}`,
		},
		{
			name:    "the watchdog's layer is in the history",
			image:   `{"config":{},"history":[{"created_by":"COPY a b"}]}`,
			layered: true,
			want:    `{"config":{},"history":[{"created_by":"COPY a b"},{"created":"2001-09-09T01:46:40Z","created_by":"fnb watchdog","comment":"the watchdog's layer"}]}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			raw, err := patchConfig([]byte(tt.image), &Request{Config: tt.config, Epoch: new(int64(1e9))}, &image{layered: tt.layered})
			if err != nil {
				t.Fatal(err)
			}
			var got, want dockerspec.DockerOCIImage
			if err := errors.Join(json.Unmarshal(raw, &got), json.Unmarshal([]byte(tt.want), &want)); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestPatchConfigErrors(t *testing.T) {
	t.Parallel()
	req := &Request{Config: schema.ImageConfig{Entrypoint: []string{"/usr/bin/fwatchdog"}}}
	_, err := patchConfig([]byte(`{"config":{"Env":["A=1"]}}`), req, &image{layered: true})
	var se *SolveError
	if !errors.As(err, &se) || se.File != "Dockerfile" {
		t.Errorf("no fprocess: got %T %v", err, err)
	}
	if _, err := patchConfig([]byte(`{`), req, &image{layered: true}); err == nil {
		t.Error("a broken configuration was taken")
	}
}

// The epoch of history entries is that of the request, or the default.
func TestEpoch(t *testing.T) {
	t.Parallel()
	for _, epoch := range []int64{0, 1e9} {
		if got := (&Request{Epoch: &epoch}).epoch(); got != epoch {
			t.Errorf("epoch %d: got %d", epoch, got)
		}
	}
	if got := new(Request).epoch(); got != DefaultEpoch {
		t.Errorf("no epoch: got %d", got)
	}
	if y := time.Unix(DefaultEpoch, 0).UTC().Year(); y != 1980 {
		t.Errorf("the default epoch is in %d, and a zip archive begins with 1980", y)
	}
}
