package deploy_test

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// A manifest has what the tests ask of a manifest's first document.
type manifest struct {
	Spec struct {
		Handler     string
		Environment map[string]string
		Labels      map[string]string
		Annotations map[string]string
		Secrets     []string
		Template    struct {
			Metadata struct{ Labels, Annotations map[string]string }
			Spec     struct {
				Containers []struct {
					Env []struct{ Name, Value string }
				}
			}
		}
	}
}

// read reads a manifest's first document as kubectl does; a value of another
// type is an error. Its values are those that the process
// is given, after a kubelet has expanded them.
func read(t *testing.T, raw []byte) (env, annotations map[string]string) {
	t.Helper()
	first, _, _ := strings.Cut(strings.TrimPrefix(string(raw), "---\n"), "\n---\n")
	var m manifest
	if err := yaml.Unmarshal([]byte(first), &m); err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	env = map[string]string{}
	if m.Spec.Environment != nil { // OpenFaaS's operator copies it into a Deployment
		for k, v := range m.Spec.Environment {
			env[k] = expand(v, env)
		}
		env["fprocess"] = expand(m.Spec.Handler, env)
		return env, m.Spec.Annotations
	}
	for _, e := range m.Spec.Template.Spec.Containers[0].Env {
		env[e.Name] = expand(e.Value, env)
	}
	return env, m.Spec.Template.Metadata.Annotations
}

// expand is what a kubelet makes of a variable's value, as the API reference says it of
// EnvVar.value: $(NAME) is the variable of that name, where there is one, and stays
// otherwise; $$ is a $ that begins no reference.
func expand(value string, env map[string]string) string {
	var b strings.Builder
	for value != "" {
		end := strings.IndexByte(value, ')')
		switch {
		case strings.HasPrefix(value, "$$"):
			b.WriteByte('$')
			value = value[2:]
		case strings.HasPrefix(value, "$(") && end > 0:
			if v, ok := env[value[2:end]]; ok {
				b.WriteString(v)
			} else {
				b.WriteString(value[:end+1])
			}
			value = value[end+1:]
		default:
			b.WriteByte(value[0])
			value = value[1:]
		}
	}
	return b.String()
}
