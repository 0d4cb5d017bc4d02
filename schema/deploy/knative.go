package deploy

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"
)

// knativeTimeout is how long a revision's requests may take where nothing is said. A pod has as long to end.
const knativeTimeout = 300 * time.Second

// Knative writes a Service of serving.knative.dev/v1.
func Knative(f Function) (Part, error) {
	var p Part
	selector, err := f.kubernetes()
	if err = errors.Join(err, f.checkReserved("Knative")); err != nil {
		return p, err
	}
	if len(selector) > 0 {
		p.note("constraints: Knative takes them only where its ConfigMap config-features has kubernetes.podspec-nodeselector: enabled")
	}
	if limit := f.graceful(0); limit > knativeTimeout {
		p.note("a request may take %s: Knative takes that only where its ConfigMap config-defaults has max-revision-timeout-seconds: %q or more", limit, strconv.Itoa(seconds(limit)))
	}
	err = f.knative(&p, podStyle{
		port:     mapping{{key: "containerPort", value: f.port()}},
		probes:   mapping{{key: "readinessProbe", value: probe("/_/ready", false)}},
		security: f.security(&p), selector: selector,
	})
	return p, err
}

// checkReserved reports the variables that Knative, and what descends from it, sets itself and lets nobody else set.
func (f Function) checkReserved(platform string) error {
	var errs []error
	for _, k := range []string{"K_CONFIGURATION", "K_REVISION", "K_SERVICE", "PORT"} {
		if _, ok := f.Environment[k]; ok {
			errs = append(errs, fmt.Errorf("the variable %q: %s sets it itself", k, platform))
		}
	}
	return errors.Join(errs...)
}

// knative adds a Service whose pods have a style.
func (f Function) knative(p *Part, style podStyle) error {
	s, err := f.scale()
	if err != nil {
		return err
	}
	pod := f.pod(style)
	if limit := f.graceful(0); limit > knativeTimeout {
		pod = append(mapping{{key: "timeoutSeconds", value: seconds(limit)}}, pod...)
	}
	f.Annotations = s.knative(p, f.Annotations)
	template := add(nil, "metadata", f.podMetadata(f.Labels))
	template = append(template, item{key: "spec", value: pod})
	p.docs = append(p.docs, mapping{
		{key: "apiVersion", value: "serving.knative.dev/v1"},
		{key: "kind", value: "Service"},
		{key: "metadata", value: f.deployed(f.Labels)},
		{key: "spec", value: mapping{{key: "template", value: template}}},
	})
	return nil
}

// knative adds to annotations what Knative calls a scale. Whoever wrote an annotation of Knative's
// own means it.
func (s scale) knative(p *Part, annotations map[string]string) map[string]string {
	out := map[string]string{}
	set := func(key, value string) {
		if value != "" {
			out["autoscaling.knative.dev/"+key] = value
		}
	}
	if s.min > 0 && !s.zero {
		set("min-scale", strconv.Itoa(s.min))
	}
	if s.max > 0 {
		set("max-scale", strconv.Itoa(s.max))
	}
	switch s.kind {
	case "", "capacity":
		set("target", s.target)
	case "rps":
		set("metric", "rps")
		set("target", s.target)
	default:
		p.note("the label %stype=%s: Knative counts requests", scalePrefix, s.kind)
	}
	if s.zeroAfter > 0 {
		set("scale-to-zero-pod-retention-period", s.zeroAfter.String())
	}
	if s.proportion > 0 {
		set("target-utilization-percentage", strconv.Itoa(int(100*s.proportion)))
	}
	if s.factor {
		p.note("the label %sfactor: Knative has nothing of the kind", scalePrefix)
	}
	maps.Copy(out, annotations)
	return out
}
