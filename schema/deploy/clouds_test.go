package deploy_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"fnb/schema"
	"fnb/schema/deploy"
)

const ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/hello:1@sha256:1111111111111111111111111111111111111111111111111111111111111111"

// full is a function with all that a stack may say.
func full() deploy.Function {
	return deploy.Function{
		Name: "resize-images", Image: ecr, FProcess: "node index.js", Environment: map[string]string{"exec_timeout": "2m"},
		Secrets: []string{"token"}, Labels: map[string]string{"team": "blue"}, Annotations: map[string]string{"topic": "news"},
		Constraints: []string{"kubernetes.io/arch=amd64"}, Limits: &schema.Resources{Memory: "512Mi", CPU: "500m"},
		Requests: &schema.Resources{Memory: "128Mi"}, ReadOnlyRoot: true, Namespace: "shop",
		Built: &deploy.Built{User: "1000", Platforms: []schema.PlatformReport{{Platform: "linux/amd64", Digest: "sha256:" + strings.Repeat("2", 64)}, {Platform: "linux/arm64", Digest: "sha256:" + strings.Repeat("3", 64)}}},
	}
}

// tree writes functions for a platform and reads the document.
func tree(t *testing.T, name string, all ...deploy.Function) (doc map[string]any, notes string) {
	t.Helper()
	platform, _ := deploy.Find(deploy.Platforms(), name)
	var parts []deploy.Part
	for _, f := range all {
		part, err := platform.Write(f)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		parts = append(parts, part)
		notes += strings.Join(part.Notes, "\n") + "\n"
	}
	raw, err := platform.Join("my shop_2", parts...)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	return doc, notes
}

// at is what is found along a path of keys, of which a number is an index.
func at(doc any, path string) any {
	for key := range strings.SplitSeq(path, "/") {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[key]
		case []any:
			i := 0
			if _, err := fmt.Sscan(key, &i); err != nil || i >= len(v) {
				return nil
			}
			doc = v[i]
		default:
			return nil
		}
	}
	return doc
}

func TestClouds(t *testing.T) {
	t.Parallel()
	other := deploy.Function{Name: "other", Image: ecr}
	for _, test := range []struct {
		platform string
		want     map[string]any
		notes    string
	}{
		{"lambda", map[string]any{
			"Transform":                           "AWS::Serverless-2016-10-31",
			"Resources/ResizeImagesFunction/Type": "AWS::Serverless::Function",
			"Resources/ResizeImagesFunction/Properties/Timeout": 120.0, "Resources/ResizeImagesFunction/Properties/MemorySize": 512.0,
			"Resources/ResizeImagesFunction/Properties/Architectures/0":                "x86_64",
			"Resources/ResizeImagesFunction/Properties/ImageUri":                       "123456789012.dkr.ecr.eu-west-1.amazonaws.com/hello@sha256:" + strings.Repeat("2", 64),
			"Resources/ResizeImagesFunction/Properties/Environment/Variables/fprocess": "node index.js",
			"Resources/ResizeImagesFunction/Properties/FunctionUrlConfig/AuthType":     "AWS_IAM",
			"Resources/ResizeImagesFunction/Properties/Tags/team":                      "blue",
			"Outputs/ResizeImagesFunctionAddress/Value/Fn::GetAtt/0":                   "ResizeImagesFunctionUrl",
			"Resources/OtherFunction/Properties/ImageUri":                              strings.Replace(ecr, ":1@", "@", 1), "Resources/OtherFunction/Properties/MemorySize": 512.0,
		}, "namespace constraints annotations requests secrets readonly_root_filesystem limits linux/amd64"},
		{"serverless", map[string]any{
			"service": "my-shop", "provider/name": "aws", "functions/resize-images/image/uri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/hello@sha256:" + strings.Repeat("2", 64),
			"functions/resize-images/timeout": 120.0, "functions/resize-images/architecture": "x86_64", "functions/resize-images/url/authorizer": "aws_iam",
			"functions/other/memorySize": 512.0,
		}, "secrets constraints"},
		{"compose", map[string]any{
			"services/resize-images/ports/0": "127.0.0.1:8080:8080", "services/other/ports/0": "127.0.0.1:8081:8080",
			"services/resize-images/read_only": true, "services/resize-images/cap_drop/0": "ALL", "services/resize-images/stop_grace_period": "40s",
			"services/resize-images/environment/healthcheck_interval": "0s", "services/resize-images/secrets/0/target": "/var/openfaas/secrets/token",
			"secrets/token/file": "./token", "services/resize-images/deploy/resources/limits/cpus": "0.5", "services/resize-images/deploy/resources/limits/memory": "536870912",
			"services/resize-images/deploy/resources/reservations/memory": "134217728", "services/resize-images/image": ecr,
		}, "namespace constraints"},
	} {
		doc, notes := tree(t, test.platform, full(), other)
		for path, want := range test.want {
			if got := at(doc, path); got != want {
				t.Errorf("%s: %s is %v, want %v", test.platform, path, got, want)
			}
		}
		for word := range strings.FieldsSeq(test.notes) {
			if !strings.Contains(notes, word) {
				t.Errorf("%s: no note has %s:\n%s", test.platform, word, notes)
			}
		}
	}
}

func TestCloudServices(t *testing.T) {
	t.Parallel()
	for platform, test := range map[string]struct {
		want  map[string]any
		notes string
	}{
		"cloudrun": {map[string]any{
			"metadata/namespace": nil, "metadata/labels/team": "blue", "spec/template/spec/timeoutSeconds": 120.0,
			"spec/template/metadata/annotations/autoscaling.knative.dev~maxScale": "9",
			"spec/template/spec/containers/0/securityContext":                     nil, "spec/template/spec/nodeSelector": nil,
			"spec/template/spec/containers/0/startupProbe/httpGet/path": "/_/ready", "spec/template/spec/containers/0/resources/requests": nil,
			"spec/template/spec/volumes/0/secret/items/0/path": "token", "spec/template/spec/containers/0/resources/limits/cpu": "1",
			"spec/template/spec/containerConcurrency": nil,
		}, "namespace constraints requests readonly_root_filesystem scale.*"},
		"codeengine": {map[string]any{
			"metadata/namespace": "shop", "spec/template/metadata/annotations/autoscaling.knative.dev~max-scale": "9",
			"spec/template/spec/volumes/0/projected/sources/0/secret/name": "token", "spec/template/spec/nodeSelector": nil,
			"spec/template/spec/containers/0/readinessProbe/httpGet/path": "/_/ready",
		}, "constraints readonly_root_filesystem"},
	} {
		f := full()
		f.Limits = &schema.Resources{CPU: "1", Memory: "4G"}
		maps.Copy(f.Labels, labels("max", "9", "type", "rps", "target", "50"))
		doc, notes := tree(t, platform, f)
		for path, want := range test.want {
			if got := at(replaceKeys(doc), path); got != want {
				t.Errorf("%s: %s is %v, want %v", platform, path, got, want)
			}
		}
		for word := range strings.FieldsSeq(test.notes) {
			if !strings.Contains(notes, word) {
				t.Errorf("%s: no note has %s:\n%s", platform, word, notes)
			}
		}
	}
	doc, notes := tree(t, "cloudrun", full()) // half a CPU
	if got := at(doc, "spec/template/spec/containerConcurrency"); got != 1.0 || !strings.Contains(notes, "one request at a time") {
		t.Errorf("containerConcurrency %v, and %s", got, notes)
	}
}

// replaceKeys writes ~ for / in keys, so that a path can have them.
func replaceKeys(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, below := range v {
			out[strings.ReplaceAll(k, "/", "~")] = replaceKeys(below)
		}
		return out
	case []any:
		for i := range v {
			v[i] = replaceKeys(v[i])
		}
	}
	return v
}

// A cloud's documented limits are errors, before it is asked.
func TestCloudLimits(t *testing.T) {
	t.Parallel()
	env := func(pairs ...string) map[string]string {
		out := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i]] = pairs[i+1]
		}
		return out
	}
	limits := func(cpu, memory string) *schema.Resources { return &schema.Resources{CPU: cpu, Memory: memory} }
	for _, test := range []struct {
		platform string
		f        deploy.Function
		want     string // "" is that it is taken
	}{
		{"lambda", deploy.Function{Limits: limits("", "64Mi")}, "from 128 MiB to 10240 MiB of memory, not 64"},
		{"lambda", deploy.Function{Limits: limits("", "11Gi")}, "not 11264"},
		{"lambda", deploy.Function{Limits: limits("", "10Gi")}, ""},
		{"lambda", deploy.Function{Environment: env("exec_timeout", "16m")}, "exec_timeout 16m0s"},
		{"lambda", deploy.Function{Environment: env("exec_timeout", "0")}, "exec_timeout 0s"},
		{"lambda", deploy.Function{Environment: env("A", "b")}, `the variable "A"`},
		{"lambda", deploy.Function{Environment: env("a-b", "b")}, `the variable "a-b"`},
		{"lambda", deploy.Function{Environment: env("AWS_REGION", "b")}, "begins with AWS_"},
		{"lambda", deploy.Function{Environment: env("AB", strings.Repeat("x", 4095))}, "4097 bytes"},
		{"lambda", deploy.Function{Environment: env("AB", "{{resolve:ssm:x}}")}, "replaces {{resolve:"},
		{"lambda", deploy.Function{Name: strings.Repeat("a", 65)}, "at most 64"},
		{"lambda", deploy.Function{Image: "x"}, "no digest"},
		{"knative", deploy.Function{Environment: env("PORT", "1")}, `"PORT": Knative sets it itself`},
		{"knative", deploy.Function{Environment: env("K_SERVICE", "x")}, `"K_SERVICE": Knative sets it itself`},
		{"codeengine", deploy.Function{Environment: env("K_REVISION", "x")}, `"K_REVISION": Code Engine sets it itself`},
		{"kubernetes", deploy.Function{Environment: env("K_SERVICE", "x")}, ""},
		{"openfaas", deploy.Function{Environment: env("port", "9090")}, "the port 9090: OpenFaaS reaches a function at 8080 alone"},
		{"openfaas", deploy.Function{Environment: env("port", "8080")}, ""},
		{"kubernetes", deploy.Function{Constraints: []string{"disk=ssd", "disk=hdd"}}, "no machine is both disk=ssd and disk=hdd"},
		{"kubernetes", deploy.Function{Constraints: []string{"disk=ssd", "disk=ssd"}}, ""},
		{"serverless", deploy.Function{Environment: env("AB", "${file(x)}")}, "replaces ${"},
		{"serverless", deploy.Function{Environment: env("AB", "$x")}, ""},
		{"cloudrun", deploy.Function{Name: strings.Repeat("a", 50)}, "at most 48"},
		{"cloudrun", deploy.Function{Environment: env("PORT", "1")}, `"PORT": Cloud Run sets it itself`},
		{"cloudrun", deploy.Function{Secrets: []string{"a", "b"}}, "mounts one at a folder"},
		{"cloudrun", deploy.Function{Limits: limits("3", "1Gi")}, "not 3"},
		{"cloudrun", deploy.Function{Limits: limits("1", "8Gi")}, `cpu "2"`},
		{"cloudrun", deploy.Function{Limits: limits("500m", "2Gi")}, `cpu "1"`},
		{"cloudrun", deploy.Function{Limits: limits("100m", "600Mi")}, `cpu "0.5"`},
		{"cloudrun", deploy.Function{Limits: limits("100m", "512Mi")}, ""},
		{"cloudrun", deploy.Function{Limits: &schema.Resources{Memory: "4Gi"}}, ""},
		{"cloudrun", deploy.Function{Limits: limits("6", "2Gi")}, `memory "4Gi"`},
		{"cloudrun", deploy.Function{Limits: limits("8", "33Gi")}, "at most 32Gi"},
		{"cloudrun", deploy.Function{Limits: limits("8", "32Gi")}, ""},
		{"cloudrun", deploy.Function{Environment: env("exec_timeout", "61m")}, "exec_timeout 1h1m0s"},
		{"codeengine", deploy.Function{Limits: limits("1", "1G")}, "not 1 G for 1"},
		{"codeengine", deploy.Function{Limits: limits("3", "6G")}, "for 3"},
		{"codeengine", deploy.Function{Limits: limits("125m", "250M")}, ""},
		{"codeengine", deploy.Function{Limits: limits("12", "48G")}, ""},
		{"codeengine", deploy.Function{Limits: limits("12", "96G")}, "not 96 G"},
		{"codeengine", deploy.Function{Environment: env("exec_timeout", "11m")}, "at most 10m0s"},
		{"codeengine", deploy.Function{Labels: labels("max", "251")}, "at most 250"},
		{"codeengine", deploy.Function{Labels: labels("max", "x")}, `max="x"`},
		{"compose", deploy.Function{Image: "x"}, "no digest"},
		{"compose", deploy.Function{Secrets: []string{"Two_x.y"}}, ""},
		{"compose", deploy.Function{Secrets: []string{"a b"}}, `secret "a b" is not a name that Compose takes`},
		{"compose", deploy.Function{Secrets: []string{".."}}, `secret ".."`},
		{"lambda", deploy.Function{Secrets: []string{"Two"}}, ""},
		{"serverless", deploy.Function{Secrets: []string{"Two", "a b"}}, ""},
		{"cloudrun", deploy.Function{Secrets: []string{"Two_x"}}, ""},
		{"cloudrun", deploy.Function{Secrets: []string{"a.b"}}, `secret "a.b" is not a name that Cloud Run takes`},
		{"kubernetes", deploy.Function{Secrets: []string{"two.x-y"}}, ""},
		{"kubernetes", deploy.Function{Secrets: []string{"two..x"}}, `secret "two..x" is not a name that Kubernetes takes`},
		{"kubernetes", deploy.Function{Secrets: []string{strings.Repeat("a", 254)}}, "is not a name that Kubernetes takes"},
		{"knative", deploy.Function{Secrets: []string{"Two"}}, `secret "Two" is not a name that Kubernetes takes`},
		{"codeengine", deploy.Function{Secrets: []string{"Two"}}, `secret "Two" is not a name that Kubernetes takes`},
		{"openfaas", deploy.Function{Secrets: []string{"Two"}}, `secret "Two" is not a name that Kubernetes takes`},
		{"compose", deploy.Function{Limits: limits("some", "")}, "not a quantity"},
	} {
		if test.f.Name == "" {
			test.f.Name = "hello"
		}
		if test.f.Image == "" {
			test.f.Image = ecr
		}
		p, _ := deploy.Find(deploy.Platforms(), test.platform)
		_, err := p.Write(test.f)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.platform, err, test.want)
		}
	}
}

// A label that AWS takes for no tag is left out by name, as are those of Cloud Run.
func TestTags(t *testing.T) {
	t.Parallel()
	f := deploy.Function{Name: "hello", Image: ecr, Labels: map[string]string{
		"team": "blue +-=._:/@ ü", "line": "a\nb", "braces{}": "x", "aws:x": "y", "AWS:y": "z", "long": strings.Repeat("x", 257), "ref": "${self:service}",
	}}
	for platform, path := range map[string]string{"lambda": "Resources/HelloFunction/Properties/Tags", "serverless": "functions/hello/tags"} {
		doc, notes := tree(t, platform, f)
		tags, _ := at(doc, path).(map[string]any)
		if len(tags) != 1 || tags["team"] != f.Labels["team"] {
			t.Errorf("%s: %v", platform, tags)
		}
		for k := range f.Labels {
			if told := strings.Contains(notes, "the label "+k+"="); told != (k != "team") {
				t.Errorf("%s: a note has %s: %v", platform, k, told)
			}
		}
	}
}

// Cloud Run takes images from registries of its own and from Docker Hub.
func TestCloudRunRegistries(t *testing.T) {
	t.Parallel()
	const digest = "@sha256:1111111111111111111111111111111111111111111111111111111111111111"
	for image, taken := range map[string]bool{
		"ghcr.io/acme/hello:1": false, "127.0.0.1:5000/hello": false, "docker.n8n.io/x/y": false, "gcr.io.example.com/x": false,
		"europe-west1-docker.pkg.dev/p/r/hello": true, "gcr.io/p/hello:1": true, "eu.gcr.io/p/hello": true, "docker.io/acme/hello": true, "acme/hello:1": true, "hello": true,
	} {
		_, notes := tree(t, "cloudrun", deploy.Function{Name: "hello", Image: image + digest})
		if told := strings.Contains(notes, "its image: Cloud Run takes it from"); told == taken {
			t.Errorf("%s: %q", image, notes)
		}
	}
}

// Where the variables have the watchdog listen elsewhere, it is reached there.
func TestPorts(t *testing.T) {
	t.Parallel()
	for platform, path := range map[string]string{
		"kubernetes": "spec/template/spec/containers/0/ports/0/containerPort", "knative": "spec/template/spec/containers/0/ports/0/containerPort",
		"cloudrun": "spec/template/spec/containers/0/ports/0/containerPort", "compose": "services/hello/ports/0",
	} {
		for value, want := range map[string]int{"9090": 9090, "0": 8080, "x": 8080, "70000": 8080} {
			p, _ := deploy.Find(deploy.Platforms(), platform)
			part, err := p.Write(deploy.Function{Name: "hello", Image: ecr, Environment: map[string]string{"port": value}})
			if err != nil {
				t.Fatal(err)
			}
			raw, err := p.Join("x", part)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(strings.TrimPrefix(string(raw), "---\n"), "\n---\n")
			var doc map[string]any
			if err := yaml.Unmarshal([]byte(first), &doc); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(at(doc, path)); !strings.HasSuffix(got, fmt.Sprint(want)) {
				t.Errorf("%s: with port=%s it is %s, want %d", platform, value, got, want)
			}
		}
	}
}

// Each value comes to the process as the stack has it, also where a system replaces what it finds in it.
func TestCloudText(t *testing.T) {
	t.Parallel()
	f := deploy.Function{Name: "hello", Image: ecr, Environment: map[string]string{}}
	for i, text := range texts() {
		if len(text) < 100 {
			f.Environment[fmt.Sprintf("V%d", i)] = text
		}
	}
	f.Environment["EQUALS"], f.Environment["MERGE"], f.Environment["NUMBER"] = "=", "<<", "0x_" // which readers in Python, such as SAM's, want quoted
	raw, err := deploy.Lambda(f)
	if err != nil {
		t.Fatal(err)
	}
	lambda, _ := deploy.Find(deploy.Platforms(), "lambda")
	text, err := lambda.Join("x", raw)
	for _, want := range []string{`EQUALS: "="`, `MERGE: "<<"`, `NUMBER: "0x_"`} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%v: no %s in\n%s", err, want, text)
		}
	}
	for platform, path := range map[string]string{"lambda": "Resources/HelloFunction/Properties/Environment/Variables", "compose": "services/hello/environment", "cloudrun": ""} {
		doc, _ := tree(t, platform, f)
		got := map[string]any{}
		if path != "" {
			got, _ = at(doc, path).(map[string]any)
		} else {
			list, _ := at(doc, "spec/template/spec/containers/0/env").([]any)
			for _, v := range list {
				got[fmt.Sprint(at(v, "name"))] = at(v, "value")
			}
		}
		for k, want := range f.Environment {
			if platform == "compose" {
				want = strings.ReplaceAll(want, "$", "$$")
			}
			if got[k] != want {
				t.Errorf("%s: %s is %q, want %q", platform, k, got[k], want)
			}
		}
	}
}
