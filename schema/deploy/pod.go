package deploy

import (
	"fmt"
	"maps"
	"slices"

	"github.com/goccy/go-yaml"

	"fnb/schema"
)

// pod is the part that Knative and Kubernetes share.
func (f Function) pod(port, probes yaml.MapSlice) yaml.MapSlice {
	env := maps.Clone(f.Environment)
	if f.FProcess != "" {
		if env == nil {
			env = map[string]string{}
		}
		env["fprocess"] = f.FProcess
	}
	var vars []yaml.MapSlice
	for _, k := range slices.Sorted(maps.Keys(env)) {
		vars = append(vars, yaml.MapSlice{{Key: "name", Value: k}, {Key: "value", Value: env[k]}})
	}
	var mounts, volumes []yaml.MapSlice
	if f.ReadOnlyRoot {
		mounts = append(mounts, yaml.MapSlice{{Key: "name", Value: "tmp"}, {Key: "mountPath", Value: "/tmp"}})
		volumes = append(volumes, yaml.MapSlice{{Key: "name", Value: "tmp"}, {Key: "emptyDir", Value: map[string]string{}}})
	}
	if len(f.Secrets) > 0 {
		var sources []yaml.MapSlice
		for _, s := range f.Secrets {
			sources = append(sources, yaml.MapSlice{{Key: "secret", Value: yaml.MapSlice{{Key: "name", Value: s}}}})
		}
		mounts = append(mounts, yaml.MapSlice{{Key: "name", Value: "secrets"}, {Key: "mountPath", Value: secretsDir}, {Key: "readOnly", Value: true}})
		volumes = append(volumes, yaml.MapSlice{{Key: "name", Value: "secrets"}, {Key: "projected", Value: yaml.MapSlice{{Key: "sources", Value: sources}}}})
	}
	security := yaml.MapSlice{
		{Key: "allowPrivilegeEscalation", Value: false},
		{Key: "capabilities", Value: yaml.MapSlice{{Key: "drop", Value: []string{"ALL"}}}},
	}
	if f.ReadOnlyRoot {
		security = append(security, yaml.MapItem{Key: "readOnlyRootFilesystem", Value: true})
	}
	c := yaml.MapSlice{{Key: "name", Value: "function"}, {Key: "image", Value: f.Image}}
	c = add(c, "env", vars)
	c = append(c, yaml.MapItem{Key: "ports", Value: []yaml.MapSlice{port}})
	c = append(c, probes...)
	resources := add(add(nil, "limits", quantities(f.Limits)), "requests", quantities(f.Requests))
	c = add(c, "resources", resources)
	c = append(c, yaml.MapItem{Key: "securityContext", Value: security})
	c = add(c, "volumeMounts", mounts)
	return add(yaml.MapSlice{{Key: "containers", Value: []yaml.MapSlice{c}}}, "volumes", volumes)
}

// probe asks the watchdog. Knative takes no port but the container's own.
func (f Function) probe(path string, port bool) yaml.MapSlice {
	get := yaml.MapSlice{{Key: "path", Value: path}}
	if port {
		get = append(get, yaml.MapItem{Key: "port", Value: "http"})
	}
	return yaml.MapSlice{{Key: "httpGet", Value: get}}
}

func (f Function) port() int {
	if f.Port == 0 {
		return 8080
	}
	return f.Port
}

// metadata begins with the name.
func (f Function) metadata(labels map[string]string) yaml.MapSlice {
	m := yaml.MapSlice{{Key: "name", Value: f.Name}}
	m = add(m, "namespace", f.Namespace)
	return add(m, "labels", sorted(labels))
}

// podMetadata is that of the pods, which the platform names and places.
func (f Function) podMetadata(labels map[string]string) yaml.MapSlice {
	return add(add(nil, "labels", sorted(labels)), "annotations", sorted(f.Annotations))
}

func sorted(m map[string]string) yaml.MapSlice {
	var out yaml.MapSlice
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, yaml.MapItem{Key: k, Value: m[k]})
	}
	return out
}

func quantities(r *schema.Resources) yaml.MapSlice {
	if r == nil {
		return nil
	}
	return add(add(nil, "cpu", r.CPU), "memory", r.Memory)
}

// add appends a key, unless its value is empty.
func add(m yaml.MapSlice, key string, value any) yaml.MapSlice {
	empty := false
	switch v := value.(type) {
	case string:
		empty = v == ""
	case []string:
		empty = len(v) == 0
	case yaml.MapSlice:
		empty = len(v) == 0
	case []yaml.MapSlice:
		empty = len(v) == 0
	}
	if empty {
		return m
	}
	return append(m, yaml.MapItem{Key: key, Value: value})
}

// documents writes YAML documents.
func documents(docs ...yaml.MapSlice) ([]byte, error) {
	var out []byte
	for _, d := range docs {
		raw, err := yaml.MarshalWithOptions(d, yaml.IndentSequence(false))
		if err != nil {
			return nil, fmt.Errorf("writing a manifest: %w", err)
		}
		out = append(append(out, "---\n"...), raw...)
	}
	return out, nil
}
