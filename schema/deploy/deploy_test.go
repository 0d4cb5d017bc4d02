package deploy_test

import (
	"bytes"
	"strings"
	"testing"

	"fnb/schema"
	"fnb/schema/deploy"
)

const image = "ghcr.io/acme/hello:1@sha256:0000000000000000000000000000000000000000000000000000000000000000"

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		f    deploy.Function
		want string
	}{
		"no digest":    {deploy.Function{Name: "hello", Image: "ghcr.io/acme/hello:1"}, "has no digest"},
		"digit first":  {deploy.Function{Name: "1st", Image: image}, "a letter first"},
		"long name":    {deploy.Function{Name: strings.Repeat("a", 64), Image: image}, "at most 62"},
		"namespace":    {deploy.Function{Name: "hello", Image: image, Namespace: "a/b"}, "namespace"},
		"label value":  {deploy.Function{Name: "hello", Image: image, Labels: map[string]string{"a": "b c"}}, `a="b c"`},
		"label key":    {deploy.Function{Name: "hello", Image: image, Labels: map[string]string{"a b": "c"}}, "a b="},
		"annotation":   {deploy.Function{Name: "hello", Image: image, Annotations: map[string]string{"-": "c"}}, "annotation"},
		"variable":     {deploy.Function{Name: "hello", Image: image, Environment: map[string]string{"A=B": "c"}}, "environment variable"},
		"secret":       {deploy.Function{Name: "hello", Image: image, Secrets: []string{"../x"}}, `secret "../x"`},
		"cpu":          {deploy.Function{Name: "hello", Image: image, Limits: &schema.Resources{CPU: "-1"}}, "no quantity"},
		"memory":       {deploy.Function{Name: "hello", Image: image, Requests: &schema.Resources{Memory: "12 MB"}}, "no quantity"},
		"all problems": {deploy.Function{Name: "hello", Image: "x", Secrets: []string{"Y"}}, "secret"},
	} {
		for platform, write := range deploy.Platforms() {
			_, err := write(test.f)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s, %s: %v, want %q in it", name, platform, err, test.want)
			}
		}
	}
}

// Values that YAML would read as something else stay text, and equal functions
// give equal bytes.
func TestText(t *testing.T) {
	t.Parallel()
	f := deploy.Function{Name: "hello", Image: image, Environment: map[string]string{
		"A": "yes", "B": "0x10", "C": "null", "D": "a: b # c", "E": "\nx\n", "F": "- x", "G": "1e3", "H": "---", "I": "",
	}}
	for platform, write := range deploy.Platforms() {
		one, err := write(f)
		if err != nil {
			t.Fatalf("%s: %v", platform, err)
		}
		two, err := write(f)
		if err != nil || !bytes.Equal(one, two) {
			t.Errorf("%s: two runs differ: %v", platform, err)
		}
		got := values(t, one)
		for k, want := range f.Environment {
			if got[k] != want {
				t.Errorf("%s: %s is %#v, want %q, in\n%s", platform, k, got[k], want, one)
			}
		}
	}
}
