package deploy

import (
	"maps"
	"slices"

	"fnb/schema"
)

// A Function is what a platform has to know of a function to run it.
type Function struct {
	Name      string
	Namespace string // "" is the platform's own default
	Image     string // with a digest
	Port      int    // where the watchdog listens; 0 is 8080

	FProcess     string            // "" is the image's
	Environment  map[string]string // may be nil
	Secrets      []string          // names of the platform's secrets, mounted at /var/openfaas/secrets
	Labels       map[string]string
	Annotations  map[string]string
	Constraints  []string // OpenFaaS's only
	Limits       *schema.Resources
	Requests     *schema.Resources
	ReadOnlyRoot bool // with a /tmp that can be written
}

// A Writer returns what runs a function: YAML documents, each after a line "---", or
// the command of a shell. What the platform would refuse is an error.
type Writer func(Function) ([]byte, error)

// A Platform is something that runs functions.
type Platform struct {
	Name    string // the word for it on a command line
	Title   string // what people call it
	Write   Writer
	Command bool // Write returns a command, not manifests
}

// Platforms are all platforms, in the order in which they are shown.
func Platforms() []Platform {
	return []Platform{
		{Name: "docker", Title: "Docker", Write: Docker, Command: true},
		{Name: "openfaas", Title: "OpenFaaS", Write: OpenFaaS},
		{Name: "knative", Title: "Knative", Write: Knative},
		{Name: "kubernetes", Title: "Kubernetes", Write: Kubernetes},
	}
}

// Clusters are the platforms that take manifests.
func Clusters() []Platform {
	return slices.DeleteFunc(Platforms(), func(p Platform) bool { return p.Command })
}

// Find returns the platform of a name among all.
func Find(all []Platform, name string) (Platform, bool) {
	i := slices.IndexFunc(all, func(p Platform) bool { return p.Name == name })
	if i < 0 {
		return Platform{}, false
	}
	return all[i], true
}

// Names are the words for platforms.
func Names(all []Platform) []string {
	var names []string
	for _, p := range all {
		names = append(names, p.Name)
	}
	return names
}

const secretsDir = "/var/openfaas/secrets"

// OpenFaaS writes a Function of openfaas.com/v1, as OpenFaaS's operator reads
// it. The namespace is openfaas-fn where there is none.
func OpenFaaS(f Function) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if f.Namespace == "" {
		f.Namespace = "openfaas-fn"
	}
	spec := mapping{{key: "name", value: f.Name}, {key: "image", value: f.Image}}
	// The operator makes variables of both, in a Deployment.
	spec = add(spec, "handler", literal(f.FProcess))
	spec = add(spec, "environment", sorted(literals(f.Environment)))
	spec = add(spec, "labels", sorted(f.Labels))
	spec = add(spec, "annotations", sorted(f.Annotations))
	spec = add(spec, "constraints", f.Constraints)
	spec = add(spec, "secrets", f.Secrets)
	spec = add(spec, "limits", quantities(f.Limits))
	spec = add(spec, "requests", quantities(f.Requests))
	if f.ReadOnlyRoot {
		spec = append(spec, item{key: "readOnlyRootFilesystem", value: true})
	}
	return documents(mapping{
		{key: "apiVersion", value: "openfaas.com/v1"},
		{key: "kind", value: "Function"},
		{key: "metadata", value: f.metadata(nil)},
		{key: "spec", value: spec},
	})
}

// Knative writes a Service of serving.knative.dev/v1.
func Knative(f Function) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	pod := f.pod(mapping{{key: "containerPort", value: f.port()}}, mapping{
		{key: "readinessProbe", value: f.probe("/_/ready", false)},
	})
	template := add(nil, "metadata", f.podMetadata(f.Labels))
	template = append(template, item{key: "spec", value: pod})
	return documents(mapping{
		{key: "apiVersion", value: "serving.knative.dev/v1"},
		{key: "kind", value: "Service"},
		{key: "metadata", value: f.metadata(f.Labels)},
		{key: "spec", value: mapping{{key: "template", value: template}}},
	})
}

// Kubernetes writes a Deployment and the Service in front of it.
func Kubernetes(f Function) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	labels := maps.Clone(f.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels["app.kubernetes.io/name"] = f.Name
	selector := mapping{{key: "app.kubernetes.io/name", value: f.Name}}
	pod := f.pod(mapping{{key: "name", value: "http"}, {key: "containerPort", value: f.port()}}, mapping{
		{key: "readinessProbe", value: f.probe("/_/ready", true)},
		{key: "livenessProbe", value: f.probe("/_/health", true)},
	})
	return documents(mapping{
		{key: "apiVersion", value: "apps/v1"},
		{key: "kind", value: "Deployment"},
		{key: "metadata", value: f.metadata(labels)},
		{key: "spec", value: mapping{
			{key: "selector", value: mapping{{key: "matchLabels", value: selector}}},
			{key: "template", value: mapping{
				{key: "metadata", value: f.podMetadata(labels)},
				{key: "spec", value: pod},
			}},
		}},
	}, mapping{
		{key: "apiVersion", value: "v1"},
		{key: "kind", value: "Service"},
		{key: "metadata", value: f.metadata(labels)},
		{key: "spec", value: mapping{
			{key: "selector", value: selector},
			{key: "ports", value: []mapping{{{key: "name", value: "http"}, {key: "port", value: 80}, {key: "targetPort", value: "http"}}}},
		}},
	})
}
