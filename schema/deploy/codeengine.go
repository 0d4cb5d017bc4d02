package deploy

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Limits of IBM Code Engine; docs/portability.md has where they are from.
const (
	codeEngineTime  = 10 * time.Minute
	codeEngineScale = 250
)

// CodeEngine writes a Service of serving.knative.dev/v1 as IBM's Code Engine takes it.
func CodeEngine(f Function) (Part, error) {
	var p Part
	_, err := Function{Name: f.Name, Namespace: f.Namespace, Image: f.Image, Environment: f.Environment, Secrets: f.Secrets, Labels: f.Labels, Annotations: f.Annotations, Limits: f.Limits, Requests: f.Requests}.kubernetes()
	errs := []error{err, f.checkReserved("Code Engine")}
	m, c := memory(f.Limits), cores(f.Limits)
	if (m > 0 || c > 0) && !codeEngineTakes(m, c) {
		errs = append(errs, fmt.Errorf("limits: Code Engine has 2, 4 or 8 G of memory, and at most 48, for each of 0.125, 0.25, 0.5, 1, 2, 4, 6, 8, 10 or 12 CPUs; not %s G for %s", decimal(m/1e9), decimal(c)))
	}
	limit := f.graceful(0)
	if request := f.duration("exec_timeout", usualTimeout); request > codeEngineTime {
		errs = append(errs, fmt.Errorf("exec_timeout %s: Code Engine gives a request at most %s", request, codeEngineTime))
	}
	if s, err := f.scale(); err == nil && s.max > codeEngineScale {
		errs = append(errs, fmt.Errorf("the label %smax=%d: Code Engine runs at most %d", scalePrefix, s.max, codeEngineScale))
	}
	if err := errors.Join(errs...); err != nil {
		return p, err
	}
	f.leftOut(&p, "Code Engine", "constraints", "readonly_root_filesystem")
	f.ReadOnlyRoot = false
	if limit > codeEngineTime {
		f.Environment = withVariable(f.Environment, "write_timeout", (codeEngineTime - slack).String())
		p.note("write_timeout: Code Engine gives a request at most %s", codeEngineTime)
	}
	err = f.knative(&p, podStyle{
		port:   mapping{{key: "containerPort", value: f.port()}},
		probes: mapping{{key: "readinessProbe", value: probe("/_/ready", false)}},
	})
	return p, err
}

// codeEngineTakes reports whether there is such a combination. Its G are written as G or Gi, and are the same there.
func codeEngineTakes(memory, cores float64) bool {
	if !slices.Contains([]float64{0.125, 0.25, 0.5, 1, 2, 4, 6, 8, 10, 12}, cores) {
		return false
	}
	const most = 48
	for _, unit := range []float64{1e9, gibibyte} {
		if g := memory / unit; g <= most && slices.Contains([]float64{2, 4, 8}, g/cores) {
			return true
		}
	}
	return false
}
