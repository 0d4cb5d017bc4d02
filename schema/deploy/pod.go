package deploy

import (
	"maps"
	"slices"
	"strings"

	"fnb/schema"
)

// pod is the part that Knative and Kubernetes share.
func (f Function) pod(port, probes mapping) mapping {
	env := maps.Clone(f.Environment)
	if f.FProcess != "" {
		if env == nil {
			env = map[string]string{}
		}
		env["fprocess"] = f.FProcess
	}
	var vars []mapping
	for _, k := range slices.Sorted(maps.Keys(env)) {
		vars = append(vars, mapping{{key: "name", value: k}, {key: "value", value: literal(env[k])}})
	}
	var mounts, volumes []mapping
	if f.ReadOnlyRoot {
		mounts = append(mounts, mapping{{key: "name", value: "tmp"}, {key: "mountPath", value: "/tmp"}})
		volumes = append(volumes, mapping{{key: "name", value: "tmp"}, {key: "emptyDir", value: map[string]string{}}})
	}
	if len(f.Secrets) > 0 {
		var sources []mapping
		for _, s := range f.Secrets {
			sources = append(sources, mapping{{key: "secret", value: mapping{{key: "name", value: s}}}})
		}
		mounts = append(mounts, mapping{{key: "name", value: "secrets"}, {key: "mountPath", value: secretsDir}, {key: "readOnly", value: true}})
		volumes = append(volumes, mapping{{key: "name", value: "secrets"}, {key: "projected", value: mapping{{key: "sources", value: sources}}}})
	}
	security := mapping{
		{key: "allowPrivilegeEscalation", value: false},
		{key: "capabilities", value: mapping{{key: "drop", value: []string{"ALL"}}}},
	}
	if f.ReadOnlyRoot {
		security = append(security, item{key: "readOnlyRootFilesystem", value: true})
	}
	c := mapping{{key: "name", value: "function"}, {key: "image", value: f.Image}}
	c = add(c, "env", vars)
	c = append(c, item{key: "ports", value: []mapping{port}})
	c = append(c, probes...)
	resources := add(add(nil, "limits", quantities(f.Limits)), "requests", quantities(f.Requests))
	c = add(c, "resources", resources)
	c = append(c, item{key: "securityContext", value: security})
	c = add(c, "volumeMounts", mounts)
	return add(mapping{{key: "containers", value: []mapping{c}}}, "volumes", volumes)
}

// probe asks the watchdog. Knative takes no port but the container's own.
func (f Function) probe(path string, port bool) mapping {
	get := mapping{{key: "path", value: path}}
	if port {
		get = append(get, item{key: "port", value: "http"})
	}
	return mapping{{key: "httpGet", value: get}}
}

// literal writes a value so that a kubelet gives it to the process unchanged: it
// expands $(NAME) in the values of variables, and reads $$ as one $.
// See Kubernetes' EnvVar.value, and its third_party/forked/golang/expansion.
func literal(value string) string {
	return strings.ReplaceAll(value, "$", "$$")
}

// literals does that for all values of a mapping.
func literals(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = literal(v)
	}
	return out
}

func (f Function) port() int {
	if f.Port == 0 {
		return 8080
	}
	return f.Port
}

// metadata begins with the name.
func (f Function) metadata(labels map[string]string) mapping {
	m := mapping{{key: "name", value: f.Name}}
	m = add(m, "namespace", f.Namespace)
	return add(m, "labels", sorted(labels))
}

// podMetadata is that of the pods, which the platform names and places.
func (f Function) podMetadata(labels map[string]string) mapping {
	return add(add(nil, "labels", sorted(labels)), "annotations", sorted(f.Annotations))
}

func quantities(r *schema.Resources) mapping {
	if r == nil {
		return nil
	}
	return add(add(nil, "cpu", r.CPU), "memory", r.Memory)
}
