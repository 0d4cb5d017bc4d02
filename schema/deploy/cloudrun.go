package deploy

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits of Cloud Run; docs/portability.md has where they are from.
const (
	cloudRunName = 49
	cloudRunTime = time.Hour
	cloudRunMost = 32 * gibibyte
)

// cloudRunCores is the CPU that so much memory needs at least.
func cloudRunCores(memory float64) float64 {
	for _, step := range []struct{ above, cores float64 }{{24, 8}, {16, 6}, {8, 4}, {4, 2}, {1, 1}, {0.5, 0.5}} {
		if memory > step.above*gibibyte {
			return step.cores
		}
	}
	return 0
}

// CloudRun writes a Service of serving.knative.dev/v1 as Google's Cloud Run takes it, which leaves out much of what
// Knative has.
func CloudRun(f Function) (Part, error) {
	var p Part
	var errs []error
	fail := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fail(accepted().dnsLabel.MatchString(f.Name) && len(f.Name) <= cloudRunName, "the name %q: Cloud Run takes a lower-case letter first, then at most %d letters, digits and hyphens", f.Name, cloudRunName-1)
	label := regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	value := regexp.MustCompile(`^[a-z0-9_-]{0,63}$`)
	labels := maps.Clone(f.Labels)
	for _, k := range slices.Sorted(maps.Keys(f.Labels)) {
		if label.MatchString(k) && value.MatchString(f.Labels[k]) {
			continue
		}
		delete(labels, k)
		if !isScale(k) {
			p.note("the label %s=%q: Google's have lower-case letters, digits, - and _ only; it is left out", k, f.Labels[k])
		}
	}
	fail(len(f.Secrets) <= 1, "secrets: Cloud Run mounts one at a folder, and the function has %d in %s", len(f.Secrets), secretsDir)
	for _, s := range f.Secrets {
		fail(accepted().managerName.MatchString(s), "the secret %q is not a name that Cloud Run takes: those of Secret Manager have at most 255 letters, digits, '-' and '_'", s)
	}
	m, c := memory(f.Limits), cores(f.Limits)
	fail(m <= cloudRunMost, "limits: Cloud Run gives a function at most 32Gi of memory")
	fail(c == 0 || c <= 1 && c >= 0.08 || slices.Contains([]float64{2, 4, 6, 8}, c), "limits: Cloud Run gives a function 0.08 to 1, 2, 4, 6 or 8 CPUs, not %s", decimal(c))
	if least := map[float64]float64{4: 2, 6: 4, 8: 4}[c]; m > 0 && m < least*gibibyte {
		fail(false, "limits: Cloud Run wants memory %q at least for so many CPUs", decimal(least)+"Gi")
	}
	has := c
	if has == 0 {
		has = 1 // unless something is said
	}
	if least := cloudRunCores(m); has < least {
		fail(false, "limits: Cloud Run wants cpu %q at least for so much memory", decimal(least))
	}
	limit := f.duration("exec_timeout", usualTimeout)
	fail(limit > 0 && limit <= cloudRunTime, "exec_timeout %s: Cloud Run gives a request from 1s to %s", limit, cloudRunTime)
	s, err := f.scale()
	if err := errors.Join(errors.Join(errs...), f.checkReserved("Cloud Run"), f.checkAny(), err); err != nil {
		return p, err
	}
	// As its own refusal names them. An image without a host is Docker Hub's.
	hosts := regexp.MustCompile(`^(([a-z0-9-]+\.)?gcr\.io|([a-z0-9-]+-)?docker\.pkg\.dev|(index\.)?docker\.io)$`)
	if host, _, ok := strings.Cut(f.Image, "/"); ok && strings.ContainsAny(host, ".:") && !hosts.MatchString(host) {
		p.note("its image: Cloud Run takes it from Artifact Registry, gcr.io or docker.io only; copy it there with: fnb copy")
	}
	f.leftOut(&p, "Cloud Run", "namespace", "constraints", "requests", "readonly_root_filesystem")
	f.Namespace, f.Requests, f.ReadOnlyRoot = "", nil, false // a namespace is the project's number there
	f.Annotations = s.cloudRun(&p, f.Annotations)
	pod := f.pod(podStyle{
		port:   mapping{{key: "containerPort", value: f.port()}},
		probes: mapping{{key: "startupProbe", value: probe("/_/ready", false)}, {key: "livenessProbe", value: probe("/_/health", false)}},
		mount:  Function.oneSecret, verbatim: true,
	})
	pod = append(mapping{{key: "timeoutSeconds", value: max(1, seconds(limit))}}, pod...)
	if has < 1 {
		p.note("limits: Cloud Run gives less than one CPU to one request at a time: containerConcurrency is 1")
		pod = append(mapping{{key: "containerConcurrency", value: 1}}, pod...)
	}
	template := append(add(nil, "metadata", f.podMetadata(labels)), item{key: "spec", value: pod})
	p.docs = []mapping{{
		{key: "apiVersion", value: "serving.knative.dev/v1"},
		{key: "kind", value: "Service"},
		{key: "metadata", value: f.metadata(labels)},
		{key: "spec", value: mapping{{key: "template", value: template}}},
	}}
	return p, nil
}

// oneSecret mounts the newest version of a secret of Google's Secret Manager.
func (f Function) oneSecret() (mounts, volumes []mapping) {
	for _, s := range f.Secrets {
		mounts = append(mounts, mapping{{key: "name", value: "secrets"}, {key: "mountPath", value: secretsDir}})
		volumes = append(volumes, mapping{{key: "name", value: "secrets"}, {key: "secret", value: mapping{
			{key: "secretName", value: s}, {key: "items", value: []mapping{{{key: "key", value: "latest"}, {key: "path", value: s}}}},
		}}})
	}
	return mounts, volumes
}

// cloudRun adds to annotations what Cloud Run calls a scale: the least and the most.
func (s scale) cloudRun(p *Part, annotations map[string]string) map[string]string {
	out := map[string]string{}
	if s.min > 0 && !s.zero {
		out["autoscaling.knative.dev/minScale"] = fmt.Sprint(s.min)
	}
	if s.max > 0 {
		out["autoscaling.knative.dev/maxScale"] = fmt.Sprint(s.max)
	}
	if s.kind != "" || s.target != "" || s.factor || s.proportion > 0 || s.zeroAfter > 0 {
		p.note("the labels %s*: Cloud Run takes min and max, and scales as it sees fit", scalePrefix)
	}
	maps.Copy(out, annotations)
	return out
}
