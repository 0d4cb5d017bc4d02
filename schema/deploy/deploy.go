package deploy

import (
	"maps"

	"github.com/goccy/go-yaml"

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

// A Writer returns the manifests of a function: YAML documents, each after a
// line "---". What the platform's API would refuse is an error.
type Writer func(Function) ([]byte, error)

// Platforms returns the writer of each platform by name: openfaas, knative and
// kubernetes.
func Platforms() map[string]Writer {
	return map[string]Writer{"openfaas": OpenFaaS, "knative": Knative, "kubernetes": Kubernetes}
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
	spec := yaml.MapSlice{{Key: "name", Value: f.Name}, {Key: "image", Value: f.Image}}
	spec = add(spec, "handler", f.FProcess)
	spec = add(spec, "environment", sorted(f.Environment))
	spec = add(spec, "labels", sorted(f.Labels))
	spec = add(spec, "annotations", sorted(f.Annotations))
	spec = add(spec, "constraints", f.Constraints)
	spec = add(spec, "secrets", f.Secrets)
	spec = add(spec, "limits", quantities(f.Limits))
	spec = add(spec, "requests", quantities(f.Requests))
	if f.ReadOnlyRoot {
		spec = append(spec, yaml.MapItem{Key: "readOnlyRootFilesystem", Value: true})
	}
	return documents(yaml.MapSlice{
		{Key: "apiVersion", Value: "openfaas.com/v1"},
		{Key: "kind", Value: "Function"},
		{Key: "metadata", Value: f.metadata(nil)},
		{Key: "spec", Value: spec},
	})
}

// Knative writes a Service of serving.knative.dev/v1.
func Knative(f Function) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	pod := f.pod(yaml.MapSlice{{Key: "containerPort", Value: f.port()}}, yaml.MapSlice{
		{Key: "readinessProbe", Value: f.probe("/_/ready", false)},
	})
	template := add(nil, "metadata", f.podMetadata(f.Labels))
	template = append(template, yaml.MapItem{Key: "spec", Value: pod})
	return documents(yaml.MapSlice{
		{Key: "apiVersion", Value: "serving.knative.dev/v1"},
		{Key: "kind", Value: "Service"},
		{Key: "metadata", Value: f.metadata(f.Labels)},
		{Key: "spec", Value: yaml.MapSlice{{Key: "template", Value: template}}},
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
	selector := yaml.MapSlice{{Key: "app.kubernetes.io/name", Value: f.Name}}
	pod := f.pod(yaml.MapSlice{{Key: "name", Value: "http"}, {Key: "containerPort", Value: f.port()}}, yaml.MapSlice{
		{Key: "readinessProbe", Value: f.probe("/_/ready", true)},
		{Key: "livenessProbe", Value: f.probe("/_/health", true)},
	})
	return documents(yaml.MapSlice{
		{Key: "apiVersion", Value: "apps/v1"},
		{Key: "kind", Value: "Deployment"},
		{Key: "metadata", Value: f.metadata(labels)},
		{Key: "spec", Value: yaml.MapSlice{
			{Key: "selector", Value: yaml.MapSlice{{Key: "matchLabels", Value: selector}}},
			{Key: "template", Value: yaml.MapSlice{
				{Key: "metadata", Value: f.podMetadata(labels)},
				{Key: "spec", Value: pod},
			}},
		}},
	}, yaml.MapSlice{
		{Key: "apiVersion", Value: "v1"},
		{Key: "kind", Value: "Service"},
		{Key: "metadata", Value: f.metadata(labels)},
		{Key: "spec", Value: yaml.MapSlice{
			{Key: "selector", Value: selector},
			{Key: "ports", Value: []yaml.MapSlice{{{Key: "name", Value: "http"}, {Key: "port", Value: 80}, {Key: "targetPort", Value: "http"}}}},
		}},
	})
}
