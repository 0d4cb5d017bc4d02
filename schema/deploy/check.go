package deploy

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"fnb/schema"
)

// patterns are what Kubernetes' API accepts, and of names of secrets what Google's Secret Manager and Compose do.
type patterns struct{ dnsLabel, labelKey, labelValue, secretName, managerName, composeName, envName, quantity *regexp.Regexp }

// accepted compiles the patterns when they are needed: most commands write no
// manifest, and to all of them it would be a tenth of their start.
var accepted = sync.OnceValue(func() patterns { //nolint:gochecknoglobals // constant once it is there
	return patterns{
		dnsLabel:    regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`),
		labelKey:    regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`),
		labelValue:  regexp.MustCompile(`^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$`),
		secretName:  regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`),
		managerName: regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`),
		composeName: regexp.MustCompile(`^[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*$`), // it is a file's too, and so no "."
		envName:     regexp.MustCompile(`^[-._a-zA-Z][-._a-zA-Z0-9]*$`),
		quantity:    regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(m|k|[KMGTPE]i|[MGTPE])?$`),
	}
})

const longestSecret = 253 // of a name in Kubernetes

// kubernetes reports all that Kubernetes' API would refuse, and returns the labels of the nodes that the function may run on.
func (f Function) kubernetes() (nodes map[string]string, err error) {
	nodes = map[string]string{}
	var errs []error
	for _, c := range f.Constraints {
		// As OpenFaaS's provider reads them; it drops what is no KEY=VALUE.
		k, v, ok := strings.Cut(c, "=")
		if !ok || !accepted().labelKey.MatchString(k) || !accepted().labelValue.MatchString(v) {
			errs = append(errs, fmt.Errorf("the constraint %q is not one that Kubernetes takes: it must be KEY=VALUE, a label of nodes", c))
		}
		if before, ok := nodes[k]; ok && before != v {
			errs = append(errs, fmt.Errorf("constraints: no machine is both %s=%s and %s=%s", k, before, k, v))
		}
		nodes[k] = v
	}
	return nodes, errors.Join(f.check(), errors.Join(errs...))
}

// check reports all that Kubernetes' API would refuse.
func (f Function) check() error {
	api := accepted()
	var errs []error
	fail := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fail(api.dnsLabel.MatchString(f.Name), "the name %q: Kubernetes wants a letter first, then at most 62 lower-case letters, digits and hyphens", f.Name)
	fail(f.Namespace == "" || api.dnsLabel.MatchString(f.Namespace), "the namespace %q is not a name that Kubernetes takes", f.Namespace)
	for _, k := range slices.Sorted(maps.Keys(f.Labels)) {
		fail(api.labelKey.MatchString(k) && api.labelValue.MatchString(f.Labels[k]), "the label %s=%q is not one that Kubernetes takes: a value has at most 63 letters, digits, '-', '_' and '.'", k, f.Labels[k])
	}
	for _, k := range slices.Sorted(maps.Keys(f.Annotations)) {
		fail(api.labelKey.MatchString(k), "the annotation %q is not a key that Kubernetes takes", k)
	}
	for _, s := range f.Secrets {
		fail(api.secretName.MatchString(s) && len(s) <= longestSecret, "the secret %q is not a name that Kubernetes takes: it has lower-case letters, digits, '-' and '.'", s)
	}
	return errors.Join(errors.Join(errs...), f.checkAny())
}

// checkAny reports what no platform that takes images takes.
func (f Function) checkAny() error {
	var err error
	if !strings.Contains(f.Image, "@sha256:") {
		err = fmt.Errorf("the image %q has no digest", f.Image)
	}
	return errors.Join(err, f.checkValues())
}

// checkValues reports what no platform takes. Which names a secret may have is each platform's own rule, and of those that have no secrets
// none.
func (f Function) checkValues() error {
	api := accepted()
	var errs []error
	fail := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(f.Environment)) {
		fail(api.envName.MatchString(k), "%q is not the name of an environment variable", k)
	}
	for _, r := range []*schema.Resources{f.Limits, f.Requests} {
		if r != nil {
			fail(r.CPU == "" || api.quantity.MatchString(r.CPU), "cpu %q is not a quantity such as 100m", r.CPU)
			fail(r.Memory == "" || api.quantity.MatchString(r.Memory), "memory %q is not a quantity such as 128Mi", r.Memory)
		}
	}
	return errors.Join(errs...)
}
