package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"fnb/schema"
	"fnb/schema/words"
)

// A podStyle is in what the pods of platforms differ.
type podStyle struct {
	port     mapping
	probes   mapping
	security mapping // nil is none
	selector map[string]string
	mount    func(f Function) (mounts, volumes []mapping) // nil is as Kubernetes has them
	verbatim bool                                         // $ means nothing in a variable
}

// pod is the part that Knative and Kubernetes share.
func (f Function) pod(style podStyle) mapping {
	var vars []mapping
	for _, k := range slices.Sorted(maps.Keys(f.variables())) {
		value := f.variables()[k]
		if !style.verbatim {
			value = literal(value)
		}
		vars = append(vars, mapping{{key: "name", value: k}, {key: "value", value: value}})
	}
	mount := style.mount
	if mount == nil {
		mount = Function.volumes
	}
	mounts, volumes := mount(f)
	c := mapping{{key: "name", value: "function"}, {key: "image", value: f.Image}}
	c = add(c, "env", vars)
	c = append(c, item{key: "ports", value: []mapping{style.port}})
	c = append(c, style.probes...)
	resources := add(add(nil, "limits", quantities(f.Limits)), "requests", quantities(f.Requests))
	c = add(c, "resources", resources)
	c = add(c, "securityContext", style.security)
	c = add(c, "volumeMounts", mounts)
	spec := add(nil, "nodeSelector", sorted(style.selector))
	spec = append(spec, item{key: "containers", value: []mapping{c}})
	return add(spec, "volumes", volumes)
}

// volumes are a /tmp where the root is read-only, and the secrets as files of one folder.
func (f Function) volumes() (mounts, volumes []mapping) {
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
	return mounts, volumes
}

// variables are the environment, with the command where the stack has one.
func (f Function) variables() map[string]string {
	if f.FProcess == "" {
		return f.Environment
	}
	return withVariable(f.Environment, "fprocess", f.FProcess)
}

// security is what Kubernetes' Pod Security "restricted" asks of a container. It does not say
// runAsNonRoot of an image whose user is none that a kubelet could compare with root.
func (f Function) security(p *Part) mapping {
	security := mapping{
		{key: "allowPrivilegeEscalation", value: false},
		{key: "capabilities", value: mapping{{key: "drop", value: []string{"ALL"}}}},
	}
	if f.ReadOnlyRoot {
		security = append(security, item{key: "readOnlyRootFilesystem", value: true})
	}
	if f.Built != nil {
		user, _, _ := strings.Cut(f.Built.User, ":")
		n, err := strconv.ParseUint(user, 10, 32)
		switch {
		case err == nil && n > 0:
			security = append(security, item{key: "runAsNonRoot", value: true})
		case err == nil, user == "", user == "root":
			p.note(`its image runs as root, which Pod Security "restricted" refuses; give the template's Dockerfile a USER with a number`)
		default:
			p.note(`its image runs as %q, and Pod Security "restricted" wants a user by number; give the template's Dockerfile one`, user)
		}
	}
	return append(security, item{key: "seccompProfile", value: mapping{{key: "type", value: "RuntimeDefault"}}})
}

// probe asks the watchdog. Knative takes no port but the container's own.
func probe(path string, port bool) mapping {
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

// metadata begins with the name.
func (f Function) metadata(labels map[string]string) mapping {
	m := mapping{{key: "name", value: f.Name}}
	m = add(m, "namespace", f.Namespace)
	return add(m, "labels", sorted(labels))
}

// deployed is the metadata of what a platform runs, which names the image that ran before.
func (f Function) deployed(labels map[string]string) mapping {
	m := f.metadata(labels)
	if f.Previous != "" {
		m = append(m, item{key: "annotations", value: mapping{{key: words.AnnotationPrevious, value: f.Previous}}})
	}
	return m
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

func (p *Part) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}
