package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"fnb/audit/osv"
	"fnb/builder"
	"fnb/builder/containers"
	"fnb/builder/fleet"
	"fnb/builder/target"
	"fnb/packaging"
	"fnb/pipeline"
	"fnb/pipeline/pins"
	"fnb/pipeline/serve"
	"fnb/pipeline/updates"
	"fnb/policy"
	"fnb/registry"
	"fnb/rollout"
	"fnb/schema/deploy"
	"fnb/store"
	"fnb/store/git"
	"fnb/store/owners"
	"fnb/store/records"
	"fnb/trust"
	"fnb/trust/evidence"
)

// failed is a run in which functions failed.
func failed(errs ...error) error {
	run := &pipeline.RunError{All: len(errs)}
	for i, err := range errs {
		run.Failed = append(run.Failed, &pipeline.FunctionError{Name: fmt.Sprintf("f%d", i), Err: err})
	}
	return run
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	step := &builder.SolveError{Step: "RUN false"}
	refused := &builder.SolveError{Denied: "registry.test"}
	gone := &builder.UnreachableError{Address: "tcp://x"}
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"none", nil, exitDone},
		{"interrupted", fmt.Errorf("building: %w", context.Canceled), exitInterrupted},
		{"anything", errors.New("x"), exitError},
		{"a command line", usagef("fnb", "x"), exitUsage},
		{"a step that fails", step, exitBuild},
		{"checks that fail", &testError{}, exitBuild},
		{"a base image that is refused", refused, exitRegistry},
		{"a base image whose registry does not answer", &builder.SolveError{Unreached: "registry.test"}, exitRegistry},
		{"nothing newer that is known", &unaskedError{missed: []error{errors.New("x")}}, exitRegistry},
		{"credentials", &registry.AuthError{Host: "registry.test"}, exitRegistry},
		{"a template that nobody has", &store.NotFoundError{Name: "x"}, exitNotFound},
		{"a function that the stack lacks", &pipeline.UnknownFunctionError{Name: "x"}, exitNotFound},
		{"a lock that lacks something", &pins.NotLockedError{What: "base images"}, exitNotFound},
		{"another watchdog", &pins.OtherWatchdogError{}, exitNotFound},
		{"no builder", gone, exitBuilder},
		{"a program that is not there", failed(&containers.NoProgramError{Program: "x"}), exitNotThere},
		{"a program that is none", &containers.NoProgramError{Program: "x", There: true}, exitNoProgram},
		{"something newer", &outdatedError{n: 1}, exitNewer},
		{"what the policy refuses", failed(errors.Join(&policy.Refusal{})), exitPolicy},
		{"what it would refuse", &refusedError{count: 2}, exitPolicy},
		{"a difference to what runs", &differsError{n: 1}, exitNewer},
		{"a signature that is not there", &evidence.MissingError{Want: evidence.Signature()}, exitPolicy},
		{"a platform that refuses", failed(&deployError{o: &deployOptions{}, err: &rollout.Error{Kind: rollout.Quota}}), exitDeploy},
		{"an image that is not there to be deployed", failed(&deployError{o: &deployOptions{}, err: &registry.NotFoundError{}}), exitNotFound},
		{"a function's template", failed(&pipeline.TemplateError{Err: &store.NotFoundError{Name: "x"}}), exitNotFound},
		{"of several a failed build decides", failed(&store.NotFoundError{Name: "x"}, step), exitBuild},
		{"of several the first, where no build failed", failed(&store.NotFoundError{Name: "x"}, refused), exitNotFound},
		{"a function that ran", failed(&containers.ExitError{Code: 3}), exitError},
		{"a function that ran, beside one that was not built", failed(&containers.ExitError{Code: 3}, step), exitBuild},
	} {
		if got := report(new(strings.Builder), tt.err); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// Errors of libraries know no command line: what to type is added here.
func TestHints(t *testing.T) {
	t.Parallel()
	pods := func(address, said string) error {
		return &builder.UnreachableError{Address: "kube-pod://" + address, Err: errors.New(said)}
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{usagef("fnb build", "x"), "see: fnb build --help"},
		{&fleet.NoBuilderError{}, withContainer},
		{&builder.UnreachableError{Address: "docker://", Err: errors.New("dial unix /d.sock: connect: permission denied")}, "if you may act as root on its machine, join the group that the socket is for, and log in again: sudo usermod -aG docker $USER"},
		{&builder.UnreachableError{Address: "docker://127.0.0.1:2375"}, "start the Docker Engine, and see whether it answers with: docker --host tcp://127.0.0.1:2375 version"},
		{&target.LoadError{Err: errors.New("write /x: no space left on device")}, "free the Docker Engine's disk of images that nothing uses, with: docker image prune --all"},
		{&target.EngineError{Engine: "the Docker Engine", Err: errors.New("connection refused")}, "or keep the image without one: fnb build, without --load"},
		{&pipeline.TemplateError{Err: &git.LimitError{Source: "https://git.test/x"}}, "use a copy of the template with less in it, as a folder: --lang ./FOLDER"},
		{&serve.PortError{Port: 80}, "take another with: --port N, or any free one with --port 0"},
		{&NoGatewayError{Stack: "../stack.yaml"}, "start it in another terminal with: fnb run --gateway"},
		{&NoGatewayError{Stack: "b/other.yaml"}, "start it in another terminal with: fnb run --gateway -f b/other.yaml"},
		{&builder.SolveError{Unreached: "127.0.0.1:1", Problem: `pulling 127.0.0.1:1/x: failed to do request: Head "http://127.0.0.1:1/v2/x/manifests/1": EOF`}, "see whether the registry answers: curl http://127.0.0.1:1/v2/"},
		{&records.OccupiedError{Dir: "public"}, "write it to a folder of its own: --out public/index"},
		{&pins.NotLockedError{What: "watchdogs"}, "add them to the lock with: fnb lock"},
		{&pins.OtherWatchdogError{}, "move the pin with: fnb update default"},
		{&pipeline.ContextError{Dir: "ctx", Err: &fs.PathError{Op: "write", Path: "ctx", Err: errors.New("the folder is not empty")}}, "remove what is there first: rm -r ctx"},
		{&pipeline.FunctionError{Name: "f", Err: &updates.StarterError{Function: "f", Err: errors.New("gone")}}, "move the pin and merge by hand with: fnb update f --no-merge"},
		{&pipeline.UnknownFunctionError{Name: "helo", Near: []string{"hello"}}, "did you mean: hello"},
		{&packaging.RuntimeError{File: ".nvmrc", Arg: "NODE_VERSION", There: "24", Err: errors.New("x")}, "correct the file, or choose the version without it: --build-arg NODE_VERSION=24"},
		{&pipeline.NoImageError{Version: "25", Arg: "NODE_VERSION", Near: []string{"26"}}, "take one that there is: --build-arg NODE_VERSION=26"},
		{&containers.ExitError{Code: 1, Log: []string{"ModuleNotFoundError: No module named 'requests.auth'"}}, "if requests is a package, add it to the handler's package list: requirements.txt, or dependencies in pyproject.toml"},
		{&containers.NotListeningError{Log: []string{"Error: Cannot find module 'left-pad/index'"}}, "add left-pad to dependencies in the handler's package.json, and make its lock with: fnb lock --packages"},
		{&builder.SolveError{Log: []string{`error: Cannot find package "@a/b" from "/home/app/function/handler.ts"`}}, "add @a/b to dependencies in the handler's package.json, and make its lock with: fnb lock --packages"},
		{&containers.ExitError{Log: []string{`error: Import "ms" not a dependency and not in import map`}}, "add ms to imports in the handler's deno.json, and make its lock with: fnb lock --packages"},
		{&store.NotFoundError{Name: "python3@3.12", Err: &store.VersionError{Range: "3.12", File: ".python-version"}}, "if 3.12 is the version of the language, leave out @3.12, and write it into the handler's .python-version"},
		{errors.Join(&policy.Refusal{Rule: "bases.min-age", Kind: policy.KindBase, Reference: "docker.io/library/x:1"}), "wait, or once somebody has reviewed it, pin it with: fnb lock --reviewed docker.io/library/x:1"},
		{&policy.Refusal{Rule: "bases.digest", Kind: policy.KindBase}, "pin it by its digest with: fnb lock"},
		{&policy.Refusal{Rule: "templates.yanked", Kind: policy.KindTemplate, Reference: "acme/go@1", Use: "1.2.0"}, "move the pin to another version, such as 1.2.0, with: fnb update acme/go@1"},
		{&policy.Refusal{Rule: "watchdog.min", Kind: policy.KindWatchdog, Name: "x:1"}, "have fnb put its own in: --watchdog default"},
		{&policy.Refusal{Rule: "bases.min-age", Kind: policy.KindBase, Why: "it is dated 2099-01-01, which this machine's clock has not reached"}, "if the clock is wrong, set it; see it with: date -u"},
		{fmt.Errorf("x: %w", &policy.KeyError{File: "keys/a.pub", Name: "a.pub", Err: fs.ErrNotExist}), "put the public key there: fnb key export NAME > keys/a.pub"},
		{&policy.Refusal{Rule: "templates.signed-by", Kind: policy.KindTemplate, Reference: "acme/go"}, "see who has signed it with: fnb template show acme/go"},
		{&policy.Refusal{Rule: "bases.signed-by", Kind: policy.KindBase, Name: "ghcr.io/acme/x:1"}, "if it is yours, sign it with: fnb sign ghcr.io/acme/x:1 --key KEY"},
		{&policy.Refusal{Rule: "templates.allow", Kind: policy.KindTemplate}, "see which templates there are with: fnb template list"},
		{&osv.MissingError{Dir: "a b", Ecosystems: []string{"npm"}}, "fetch them: fnb audit --update-db --db 'a b'"},
		{&osv.BrokenError{File: "all.zip", Err: errors.New("x")}, "fetch it again: fnb audit --update-db"},
		{&outdatedError{n: 1, movable: true}, "move the pins with: fnb update"},
		{&outdatedError{packages: 1}, "move them with: fnb update --packages"},
		{&deployError{o: &deployOptions{to: "knative"}, err: &rollout.Error{Kind: rollout.NoResource, Subject: "Service"}}, "the cluster has no Knative; deploy to plain Kubernetes with: --to kubernetes"},
		{&deployError{o: &deployOptions{to: "kubernetes"}, err: &rollout.Error{Kind: rollout.Admission}, placement: placement{function: deploy.Function{Name: "f"}}}, "see what the cluster is asked for with: fnb generate kubernetes f"},
		{&deployError{o: &deployOptions{to: "kubernetes"}, err: &rollout.Error{Kind: rollout.Silent}, placement: placement{function: deploy.Function{Name: "f"}}}, "read its log with: kubectl logs --selector app.kubernetes.io/name=f"},
		{&deployError{o: &deployOptions{to: "openfaas"}, err: &rollout.Error{Kind: rollout.Unready}, placement: placement{namespace: "dev", function: deploy.Function{Name: "f", Previous: "x@y"}}}, "run the image before again with: fnb deploy f --to openfaas --namespace dev --rollback"},
		{&deployError{o: &deployOptions{to: "openfaas"}, err: &rollout.Error{Kind: rollout.Credentials, Subject: "http://127.0.0.1/$(x)"}}, "log in with: faas-cli login --gateway 'http://127.0.0.1/$(x)', or give the password with: --password-stdin"},
		{&deployError{o: &deployOptions{to: "kubernetes", context: "staging"}, err: &rollout.Error{Kind: rollout.Crash}, placement: placement{function: deploy.Function{Name: "f", Previous: "x@y"}}}, "run the image before again with: fnb deploy f --to kubernetes --context staging --rollback"},
		{pods("?selector=app=bk&context=x", `kubectl: error: context "x" does not exist`), "see the contexts that there are with: kubectl config get-contexts"},
		{pods("?selector=app=bk&namespace=b", `kubectl: Error from server (Forbidden): pods is forbidden: User "a" cannot list resource "pods" in API group "" in the namespace "b"`), "see what you may do there with: kubectl auth can-i list pods --namespace b; docs/builder.md has the Role that fnb needs"},
		{&fleet.NoneLeftError{Lost: []error{pods("x", `kubectl: The connection to the server 127.0.0.1:1 was refused`)}}, "see which cluster kubectl means with: kubectl config current-context, and whether it answers: kubectl cluster-info"},
		{pods("?selector=a=b", "kubectl: error: You must be logged in to the server (Unauthorized)"), "log in to the cluster again, and see who it takes you for with: kubectl auth whoami"},
		{pods("?selector=a=b,c&namespace=n", "of 2 pods with a=b,c none is ready"), "see what they wait for with: kubectl describe pods --selector a=b,c --namespace n"},
		{pods("?selector=a=b", "of 0 pods with a=b none is ready"), "see which pods there are, with their labels, with: kubectl get pods --show-labels"},
		{pods("gone", `kubectl: Error from server (NotFound): pods "gone" not found`), "see which pods there are, and what they wait for, with: kubectl describe pods"},
		{&trust.PasswordError{Key: "k"}, "give it by standard input with --key-password-stdin, or in the variable FNB_KEY_PASSWORD"},
		{&trust.TimeError{}, "if the clock is wrong, set it; see it with: date -u"},
		{&evidence.MissingError{Reference: "r", Want: evidence.Signature()}, "if it is yours, sign it: fnb sign r --key KEY"},
		{&registry.ReferrersError{Reference: "r", Lost: "sha256:1"}, "attach it again: fnb sign r --key KEY"},
		{&registry.ReferrersError{Reference: "r", Count: 10_001}, "see what they are: oras discover r; the registry must delete what nobody needs"},
		{&registry.AttachedError{Reference: "r"}, "see what is attached: oras discover r"},
		{&owners.SignatureError{Namespace: "acme", Reason: owners.Expired}, "if the clock is wrong, set it; see it with: date -u"},
		{&registry.AuthError{Host: "ghcr.io"}, "log in with: fnb login ghcr.io"},
		{fmt.Errorf("writing: %w", errors.New("no space left on device")), "free disk space with: fnb builder prune"},
	} {
		if got := hints(tt.err); !slices.Contains(got, tt.want) {
			t.Errorf("%T: %q, want %q", tt.err, got, tt.want)
		}
	}
	for _, said := range []string{"Cannot find module './x'", "Cannot find module '/home/app/x.js'"} { // no package
		if got := startHints(errors.New(said)); len(got) > 0 {
			t.Errorf("%s: %q", said, got)
		}
	}
	if got := hints(&outdatedError{n: 1}); len(got) > 0 {
		t.Errorf("nothing could be moved: %q", got)
	}
}

// An error is told with what was being done, in the words of the command line.
func TestShow(t *testing.T) {
	t.Parallel()
	j := &pipeline.Job{}
	j.Function.Name = "hello"
	for _, tt := range []struct {
		err  error
		want string
	}{
		{j.Failed(pipeline.While("packaging ./hello", errors.New("gone"))), "fnb: hello: packaging ./hello: gone\n"},
		{j.Failed(&pipeline.TagError{Rule: "sha", Err: errors.New("it is in no git repository")}), "fnb: hello: --tag sha: it is in no git repository\n"},
		{j.Failed(&pipeline.NoTestsError{Template: "py"}), "fnb: hello: template py has no test target; name the stage with test.target in the stack file, or leave out --test\n"},
		{errors.Join(errors.New("one"), errors.New("two")), "fnb: one\nfnb: two\n"},
		{
			errors.Join(&pipeline.FunctionError{Name: "a", Doing: "reading it", Err: errors.Join(errors.New("one"), errors.New("two"))}, errors.New("nobody's"), &pipeline.FunctionError{Name: "b", Err: errors.New("three")}),
			"fnb: a: reading it: one\nfnb: a: reading it: two\nfnb: b: three\nfnb: nobody's\n",
		},
		{hint(j.Failed(errors.New("gone")), "look for it"), "fnb: hello: gone\nhint: look for it\n"},
		{ // what is the same for several is said once, behind the last of them
			failed(&registry.AuthError{Host: "a"}, &registry.AuthError{Host: "b"}, &registry.AuthError{Host: "a"}),
			"fnb: f0: a refused the credentials\nfnb: f1: b refused the credentials\nhint: log in with: fnb login b\nfnb: f2: a refused the credentials\nhint: log in with: fnb login a\n",
		},
	} {
		var b strings.Builder
		show(&b, tt.err)
		if b.String() != tt.want {
			t.Errorf("%q, want %q", b.String(), tt.want)
		}
	}
}

// What fails beside functions is told, too; the last word is about the functions.
func TestReportTellsAll(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	err := errors.Join(failed(errors.New("one"), errors.New("two")), errors.New("the lock was not written"))
	if code := report(&b, err); code != exitBuild || b.String() != "fnb: f0: one\nfnb: f1: two\nfnb: the lock was not written\nfnb: 2 of 2 functions failed: f0, f1\n" {
		t.Errorf("%d: %q", code, b.String())
	}
}

// What a note is depends on the command line; what it is not depends on nothing.
func TestWording(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]pipeline.Note{
		"as it is":              {Text: "as it is"},
		"--no-cache":            {Kind: pipeline.ReasonNoCache, Text: "x"},
		"--test runs the tests": {Kind: pipeline.ReasonTest, Text: "x"},
		"x; " + otherCache:      {Kind: pipeline.NoteCacheType, Text: "x"},
	} {
		if got := wording(n); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// An image without a registry that cannot be pushed leads to the prefix, also from a builder
// that takes fewer registries; one that had no answer does not lead to fnb push.
func TestUnpushedHints(t *testing.T) {
	t.Parallel()
	const nobody = `failed to do request: Head "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host`
	for ref, want := range map[string]string{
		"docker.io/library/hello:latest": "an image without a registry goes to Docker Hub",
		"registry.test/acme/hello:1":     "see whether the registry answers: ",
	} {
		got := hints(&builder.ExportError{Reference: ref, Host: "registry.test", Strict: true, Problem: nobody})
		if len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: %q", ref, got)
		}
	}
}
