package rollout

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// What kubectl, API servers, kubelets and providers of OpenFaaS's say, and what it is taken for.
func TestCause(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		said    string
		kind    Kind
		subject string
	}{
		{`error: context "nowhere" does not exist`, NoContext, "nowhere"},
		{`Error in configuration: context was not found for specified context: nowhere`, NoContext, "nowhere"},
		{`Error from server (NotFound): namespaces "nowhere" not found`, NoNamespace, "nowhere"},
		{`Error from server (Forbidden): deployments.apps "hello" is forbidden: User "ann" cannot get resource "deployments" in API group "apps" in the namespace "prod"`, Forbidden, "get deployments.apps"},
		{`Error from server (Forbidden): services "hello" is forbidden: User "ann" cannot patch resource "services" in API group "" in the namespace "prod"`, Forbidden, "patch services"},
		{`error: You must be logged in to the server (Unauthorized)`, Credentials, ""},
		{`error: You must be logged in to the server (the server has asked for the client to provide credentials)`, Credentials, ""},
		{`The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?`, Unreachable, "127.0.0.1:6443"},
		{`Unable to connect to the server: dial tcp: lookup nowhere.example on 127.0.0.1:53: no such host`, Unreachable, ""},
		{`Unable to connect to the server: net/http: request canceled (Client.Timeout exceeded while awaiting headers)`, Unreachable, ""},
		{`kubectl does not answer in time`, Unreachable, ""},
		{`Error from server: etcdserver: request timed out`, Unreachable, ""},
		{`Error from server (ServiceUnavailable): the server is currently unable to handle the request (get deployments.apps hello)`, Unreachable, ""},
		{`Error from server (Timeout): the server was unable to return a response in the time allotted, but may still be processing the request`, Unreachable, ""},
		{`error: http2: client connection lost`, Unreachable, ""},
		{`Error from server (Forbidden): User "ann" cannot get resource "x;reboot" in API group "" in the namespace "prod"`, Forbidden, ""},
		{`error: resource mapping not found for name: "hello" namespace: "" from "STDIN": no matches for kind "Service" in version "serving.knative.dev/v1"; ensure CRDs are installed first`, NoResource, "Service"},
		{`error: the server doesn't have a resource type "services"`, NoResource, "services"},
		{`error: Apply failed with 1 conflict: conflict with "kubectl-set" using apps/v1: .spec.template.spec.containers[name="function"].image`, Conflict, "kubectl-set"},
		{`error: Apply failed with 2 conflicts: conflicts with "helm" using apps/v1:; - .spec.replicas; - .metadata.labels.team`, Conflict, "helm"},
		{`Error from server (Forbidden): deployments.apps "hello" is forbidden: exceeded quota: none, requested: count/deployments.apps=1, used: count/deployments.apps=0, limited: count/deployments.apps=0`, Quota, "none"},
		{`pods "hello-1" is forbidden: failed quota: team: must specify limits.memory for: function`, Quota, "team"},
		{`Error from server: error when creating "STDIN": admission webhook "images.example.com" denied the request: only signed images`, Admission, "images.example.com"},
		{`deployments.apps "hello" is forbidden: ValidatingAdmissionPolicy 'few' with binding 'few' denied request: at most two`, Admission, "few"},
		{`pods "hello-1" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true`, Admission, "PodSecurity"},
		{`unable to find namespace: nowhere`, NoNamespace, "nowhere"},
		{`unable to pull image ghcr.io/acme/x: cannot pull image: pull access denied`, Pull, "ghcr.io/acme/x"},
		{`something else`, Other, ""},
	} {
		kind, subject := Cause(tt.said)
		if kind != tt.kind || subject != tt.subject {
			t.Errorf("%s:\nkind %d of %q, want %d of %q", tt.said, kind, subject, tt.kind, tt.subject)
		}
	}
}

// Of what kubectl complains about the warnings and logs are left out, and what it advises.
func TestComplaint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ said, want string }{
		{"Warning: it is old\nE1130 09:12:55.123456       1 memcache.go:265] \"Unhandled\"\nerror: gone\nerror: gone\n", "kubectl: error: gone"},
		{"error: Apply failed with 1 conflict: conflict with \"x\" using v1: .spec\nPlease review the fields above--they\n* If you\n", `kubectl: error: Apply failed with 1 conflict: conflict with "x" using v1: .spec`},
		{"Warning: only that\n", "kubectl: Warning: only that"},
		{"\x1b[2Jred\n", "kubectl: red"},
		{strings.Repeat("a\nb\nc\nd\n", 100), "kubectl: a; b; c; d"},
	} {
		if got := complaint(tt.said).Error(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func parse(t *testing.T, text string) (o object) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// How far a Deployment is, and what is in its way.
func TestDeployed(t *testing.T) {
	t.Parallel()
	const (
		set    = `{"kind": "ReplicaSet", "metadata": {"annotations": {"deployment.kubernetes.io/revision": "2"}, "labels": {"pod-template-hash": "new"}}}`
		before = `{"kind": "ReplicaSet", "metadata": {"annotations": {"deployment.kubernetes.io/revision": "1"}, "labels": {"pod-template-hash": "old"}}}`
	)
	deployment := func(status string) string {
		return `{"kind": "Deployment", "metadata": {"generation": 3, "annotations": {"deployment.kubernetes.io/revision": "2"}}, "spec": {"replicas": 2}, "status": ` + status + `}`
	}
	pod := func(hash, state string) string {
		return `{"kind": "Pod", "metadata": {"labels": {"pod-template-hash": "` + hash + `"}}, "status": ` + state + `}`
	}
	waiting := func(reason, message string) string {
		return `{"containerStatuses": [{"state": {"waiting": {"reason": "` + reason + `", "message": "` + message + `"}}, "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}}}]}`
	}
	const halfway = `{"observedGeneration": 3, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 2}`
	for _, tt := range []struct {
		name  string
		all   []string
		ready bool
		stuck bool
		why   string
	}{
		{"not seen yet", []string{deployment(`{"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}`)}, false, false, ""},
		{"all new", []string{deployment(`{"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}`)}, true, false, ""},
		{"one of the old left", []string{deployment(`{"observedGeneration": 3, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3}`)}, false, false, "2 of 2 pods are new, and 3 are available"},
		{"an image", []string{deployment(halfway), set, pod("new", waiting("ImagePullBackOff", "no such image"))}, false, true, "its image cannot be pulled: no such image"},
		{"an old pod's image", []string{deployment(halfway), before, set, pod("old", waiting("ImagePullBackOff", "gone"))}, false, false, "1 of 2 pods are new, and 2 are available"},
		{"a crash", []string{deployment(halfway), set, pod("new", waiting("CrashLoopBackOff", "back-off"))}, false, true, "it ends each time that it is started: exit code 3 (Error)"},
		{"a function that does not answer", []string{deployment(halfway), set, pod("new", `{"containerStatuses": [{"ready": false, "state": {"running": {}}}]}`)}, false, false, "its pod runs, and does not say that it is ready"},
		{"one that does", []string{deployment(halfway), set, pod("new", `{"containerStatuses": [{"ready": true, "state": {"running": {}}}]}`)}, false, false, "1 of 2 pods are new, and 2 are available"},
		{"a secret", []string{deployment(halfway), set, pod("new", waiting("CreateContainerConfigError", "no secret"))}, false, true, "its container cannot be started: no secret"},
		{"no node", []string{deployment(halfway), set, pod("new", `{"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]}`)}, false, false, "no node takes its pod: 0/1 nodes"},
		{"a quota", []string{deployment(`{"observedGeneration": 3, "conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: team"}]}`)}, false, true, "the cluster makes no pod of it: exceeded quota: team"},
		{"its own deadline", []string{deployment(`{"observedGeneration": 3, "conditions": [{"type": "Progressing", "status": "False", "message": "timed out"}]}`)}, false, true, "0 of 2 pods are new, and 0 are available: timed out"},
	} {
		var all []object
		for _, text := range tt.all {
			all = append(all, parse(t, text))
		}
		got, why := deployed(all[0], all), ""
		if got.why != nil {
			why = got.why.Text
		}
		if got.ready != tt.ready || got.stuck != tt.stuck || why != tt.why {
			t.Errorf("%s: ready %v, stuck %v, %q", tt.name, got.ready, got.stuck, why)
		}
	}
}

// What ran before is known by its digest.
func TestNext(t *testing.T) {
	t.Parallel()
	const a, b, c = "x/y:1@sha256:aa", "x/y:2@sha256:bb", "x/z:1@sha256:cc"
	for _, tt := range []struct {
		name  string
		state State
		image string
		want  string
	}{
		{"nothing ran", State{}, a, ""},
		{"another image", State{There: true, Image: a, Previous: c}, b, a},
		{"the same image", State{There: true, Image: a, Previous: c}, a, c},
		{"the same digest by another tag", State{There: true, Image: a, Previous: c}, "x/y:9@sha256:aa", c},
		{"a tag, whose digest nobody knows", State{There: true, Image: "x/y:1", Previous: c}, a, ""},
	} {
		if got := tt.state.Next(tt.image); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if !is(errors.Join(&Error{Kind: Pull}), Pull) || is(errors.New("x"), Pull) {
		t.Error("is")
	}
}
