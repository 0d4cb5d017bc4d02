package deploy_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"fnb/schema"
	"fnb/schema/deploy"
)

// A running is what decides how a cluster runs a function.
type running struct {
	Kind string
	Spec struct {
		Replicas    *int
		MinReplicas *int
		MaxReplicas *int
		Metrics     []struct {
			Resource struct {
				Target struct {
					AverageUtilization int
					AverageValue       string
				}
			}
		}
		Template struct {
			Metadata struct{ Annotations map[string]string }
			Spec     struct {
				TerminationGracePeriodSeconds int
				TimeoutSeconds                int
				NodeSelector                  map[string]string
				Containers                    []struct {
					Env             []struct{ Name, Value string }
					SecurityContext struct {
						RunAsNonRoot             *bool
						AllowPrivilegeEscalation *bool
						Capabilities             struct{ Drop []string }
						SeccompProfile           struct{ Type string }
					}
				}
			}
		}
	}
}

// run writes a function for a platform and reads it as kubectl does.
func run(t *testing.T, name string, f deploy.Function) (docs []running, notes string) {
	t.Helper()
	f.Name, f.Image = "hello", image
	platform, _ := deploy.Find(deploy.Platforms(), name)
	raw, all := write(t, platform, f)
	for text := range strings.SplitSeq(strings.TrimPrefix(string(raw), "---\n"), "\n---\n") {
		var doc running
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
	return docs, strings.Join(all, "\n")
}

// A pod has time for its watchdog's drain, whatever the stack or the image says of it, and the drain begins with a pause in
// which a cluster's machines hear of it.
func TestGrace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stack map[string]string
		image []string
		pause string
		grace int
	}{
		"nothing said":     {nil, nil, "5s", 5 + 30 + 10},
		"a longer request": {map[string]string{"write_timeout": "2m"}, nil, "5s", 5 + 120 + 10},
		"by the image":     {nil, []string{"write_timeout=65", "healthcheck_interval=7s", "PATH=/bin"}, "", 7 + 65 + 10},
		"the stack's":      {map[string]string{"healthcheck_interval": "20s", "write_timeout": "1500ms"}, []string{"write_timeout=9m"}, "20s", 20 + 2 + 10},
		"not to be read":   {map[string]string{"write_timeout": "soon"}, nil, "5s", 45},
	} {
		docs, _ := run(t, "kubernetes", deploy.Function{Environment: test.stack, Built: &deploy.Built{User: "1000", Environment: test.image}})
		spec := docs[0].Spec.Template.Spec
		pause := ""
		for _, e := range spec.Containers[0].Env {
			if e.Name == "healthcheck_interval" {
				pause = e.Value
			}
		}
		if spec.TerminationGracePeriodSeconds != test.grace || pause != test.pause {
			t.Errorf("%s: %d seconds and a pause of %q, want %d and %q", name, spec.TerminationGracePeriodSeconds, pause, test.grace, test.pause)
		}
	}
	docs, notes := run(t, "knative", deploy.Function{Environment: map[string]string{"write_timeout": "10m"}})
	if got := docs[0].Spec.Template.Spec.TimeoutSeconds; time.Duration(got)*time.Second != 610*time.Second || !strings.Contains(notes, "max-revision-timeout-seconds") {
		t.Errorf("Knative gives it %d seconds; notes %q", got, notes)
	}
}

// What Pod Security "restricted" asks for is there, on every platform whose pods fnb describes.
func TestRestricted(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"kubernetes", "knative"} {
		for user, want := range map[string]string{"1000": "", "65532:65532": "", "app": `"app"`, "": "root", "0": "root", "root:root": "root"} {
			docs, notes := run(t, platform, deploy.Function{Built: &deploy.Built{User: user}})
			c := docs[0].Spec.Template.Spec.Containers[0].SecurityContext
			if c.AllowPrivilegeEscalation == nil || *c.AllowPrivilegeEscalation || len(c.Capabilities.Drop) != 1 || c.Capabilities.Drop[0] != "ALL" || c.SeccompProfile.Type != "RuntimeDefault" {
				t.Errorf("%s, user %q: %+v", platform, user, c)
			}
			if nonRoot := c.RunAsNonRoot != nil && *c.RunAsNonRoot; nonRoot != (want == "") || !strings.Contains(notes, want) || nonRoot != (notes == "") {
				t.Errorf("%s, user %q: runAsNonRoot %v, notes %q", platform, user, nonRoot, notes)
			}
		}
	}
}

func TestConstraints(t *testing.T) {
	t.Parallel()
	f := deploy.Function{Constraints: []string{"kubernetes.io/arch=amd64", "disk=ssd"}}
	for platform, note := range map[string]string{"kubernetes": "", "knative": "kubernetes.podspec-nodeselector"} {
		docs, notes := run(t, platform, f)
		if got := docs[0].Spec.Template.Spec.NodeSelector; len(got) != 2 || got["kubernetes.io/arch"] != "amd64" || got["disk"] != "ssd" || !strings.Contains(notes, note) {
			t.Errorf("%s: %v, notes %q", platform, got, notes)
		}
	}
	f = deploy.Function{Name: "hello", Image: image, Constraints: []string{"node.platform.os == linux", "ssd"}}
	for _, write := range []func(deploy.Function) (deploy.Part, error){deploy.Kubernetes, deploy.Knative} {
		if _, err := write(f); err == nil || strings.Count(err.Error(), "not one that Kubernetes takes") != 2 {
			t.Errorf("got %v, want both named", err)
		}
	}
	if part, err := deploy.OpenFaaS(f); err != nil || len(part.Notes) != 2 {
		t.Errorf("OpenFaaS: %v, %v", part.Notes, err)
	}
}

// labels are those of a scale.
func labels(pairs ...string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		out["com.openfaas.scale."+pairs[i]] = pairs[i+1]
	}
	return out
}

func TestScaleKubernetes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		labels map[string]string
		want   string // replicas, or min-max by what
		note   string
	}{
		"nothing":     {nil, "", ""},
		"fixed":       {labels("min", "3"), "3", ""},
		"min is max":  {labels("min", "2", "max", "2"), "2", ""},
		"range":       {labels("min", "2", "max", "5"), "2-5 80", ""},
		"only max":    {labels("max", "4"), "1-4 80", ""},
		"cpu":         {labels("max", "4", "type", "cpu", "target", "500"), "1-4 500m", ""},
		"requests":    {labels("max", "4", "type", "rps", "target", "50"), "1-4 80", "scale.type=rps"},
		"to zero":     {labels("zero", "true"), "", "scale.zero"},
		"others":      {labels("factor", "20", "target-proportion", "0.7"), "", "scale.factor"},
		"no cpu":      {labels("max", "3"), "1-3 80", "name none"},
		"from limits": {labels("max", "3"), "1-3 80", ""},
	} {
		f := deploy.Function{Labels: test.labels, Requests: &schema.Resources{CPU: "100m"}}
		switch name {
		case "no cpu":
			f.Requests = nil
		case "from limits":
			f.Requests, f.Limits = nil, &schema.Resources{CPU: "1"}
		}
		docs, notes := run(t, "kubernetes", f)
		got := ""
		if n := docs[0].Spec.Replicas; n != nil {
			got = strconv.Itoa(*n)
		}
		for _, d := range docs[1:] {
			if d.Kind == "HorizontalPodAutoscaler" {
				target := d.Spec.Metrics[0].Resource.Target
				got += strconv.Itoa(*d.Spec.MinReplicas) + "-" + strconv.Itoa(*d.Spec.MaxReplicas) + " " + target.AverageValue
				if target.AverageUtilization > 0 {
					got += strconv.Itoa(target.AverageUtilization)
				}
			}
		}
		if got != test.want || !strings.Contains(notes, test.note) || (notes == "") != (test.note == "") {
			t.Errorf("%s: %q, notes %q; want %q and %q", name, got, notes, test.want, test.note)
		}
	}
}

func TestScaleKnative(t *testing.T) {
	t.Parallel()
	const prefix = "autoscaling.knative.dev/"
	docs, notes := run(t, "knative", deploy.Function{
		Labels:      labels("min", "2", "max", "9", "type", "rps", "target", "50", "target-proportion", "0.7", "zero-duration", "5m"),
		Annotations: map[string]string{prefix + "max-scale": "7", "topic": "news"},
	})
	got := docs[0].Spec.Template.Metadata.Annotations
	for key, want := range map[string]string{
		prefix + "min-scale": "2", prefix + "max-scale": "7", prefix + "metric": "rps", prefix + "target": "50", "topic": "news",
		prefix + "target-utilization-percentage": "70", prefix + "scale-to-zero-pod-retention-period": "5m0s",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	if notes != "" {
		t.Errorf("notes %q", notes)
	}
	docs, notes = run(t, "knative", deploy.Function{Labels: labels("min", "2", "zero", "true", "type", "cpu", "factor", "5")})
	if got := docs[0].Spec.Template.Metadata.Annotations; len(got) != 0 || !strings.Contains(notes, "scale.type=cpu") || !strings.Contains(notes, "scale.factor") {
		t.Errorf("annotations %v, notes %q", got, notes)
	}
}

func TestScaleRefused(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"kubernetes", "knative"} {
		p, _ := deploy.Find(deploy.Platforms(), platform)
		_, err := p.Write(deploy.Function{Name: "hello", Image: image, Labels: labels("min", "5", "max", "2", "target", "x", "zero", "perhaps", "target-proportion", "70", "zero-duration", "soon")})
		for _, want := range []string{"max=2 is less than", `target="x"`, `zero="perhaps"`, `target-proportion="70"`, `zero-duration="soon"`} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", platform, err, want)
			}
		}
	}
}
