package builder

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	shellquote "github.com/kballard/go-shellquote"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/internal/env"

	"fnb/schema/words"
)

// patchConfig lays req's settings, and what is known of a made image, over the image
// configuration that the Dockerfile left.
func patchConfig(raw []byte, req *Request, made *image) ([]byte, error) {
	var img dockerspec.DockerOCIImage
	if err := json.Unmarshal(raw, &img); err != nil {
		return nil, fmt.Errorf("reading the image configuration: %w", err)
	}
	c := &img.Config
	for _, k := range slices.Sorted(maps.Keys(req.Config.Env)) {
		c.Env = env.Set(c.Env, k, req.Config.Env[k])
	}
	if len(req.Config.Entrypoint) > 0 {
		if fprocess := slices.Concat(c.Entrypoint, c.Cmd); env.Get(c.Env, "fprocess") == "" && len(fprocess) > 0 {
			c.Env = env.Set(c.Env, "fprocess", shellquote.Join(fprocess...))
		}
		if env.Get(c.Env, "fprocess") == "" && env.Get(c.Env, "mode") != words.ModeStatic {
			return nil, &SolveError{File: req.dockerfile(), Problem: "nothing says what the watchdog must run: neither fprocess in the stack file or template.yml, nor ENV fprocess, CMD or ENTRYPOINT in the Dockerfile"}
		}
		c.Entrypoint, c.Cmd = slices.Clone(req.Config.Entrypoint), nil
		c.ArgsEscaped = false //nolint:staticcheck // a field of Windows images that the Dockerfile may have set
		if c.ExposedPorts == nil {
			c.ExposedPorts = map[string]struct{}{"8080/tcp": {}}
		}
	}
	if len(req.Config.Healthcheck) > 0 && c.Healthcheck == nil {
		c.Healthcheck = &dockerspec.HealthcheckConfig{
			Test:     append([]string{"CMD"}, req.Config.Healthcheck...),
			Interval: 5 * time.Second, Timeout: 3 * time.Second, StartPeriod: 2 * time.Second,
		}
	}
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	maps.Copy(c.Labels, req.Config.Labels)
	maps.Copy(c.Labels, made.labels)
	if made.layered {
		created := time.Unix(req.epoch(), 0).UTC()
		img.History = append(img.History, ocispecs.History{Created: &created, CreatedBy: "fnb watchdog", Comment: "the watchdog's layer"})
	}
	return json.Marshal(img)
}
