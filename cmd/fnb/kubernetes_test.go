package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"fnb/internal/servers"
	"fnb/internal/servers/cluster"
	"fnb/schema"
)

// startKubernetes starts the cluster that scripts share, when the first asks for it.
func (r *rig) startKubernetes() (*cluster.Cluster, error) {
	r.clusterOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		if r.cluster, r.clusterErr = cluster.Start(ctx); r.clusterErr != nil {
			return
		}
		stops = append(stops, func() {
			if err := r.cluster.Close(); err != nil {
				fmt.Fprintln(os.Stderr, "ending Kubernetes:", err)
			}
		})
		r.clusterErr = r.cluster.Reach(r.registry.Host)
	})
	return r.cluster, r.clusterErr
}

// hasKubernetes is the condition "kubernetes". A cluster that is required and cannot be had is an error.
func (r *rig) hasKubernetes() (bool, error) {
	_, err := r.startKubernetes()
	if err != nil && servers.Required("kubernetes") {
		return false, err
	}
	return err == nil, nil
}

// cmdKubernetes has a script use the cluster, whose programs are then in PATH.
//
//	kubernetes namespace LEVEL      makes a namespace of Pod Security's level, $NAMESPACE, and leads kubectl there
//	kubernetes builders COUNT       starts pods of buildkitd there, with the label app=buildkitd
//	kubernetes role ACCOUNT [PAGE]  gives an account the Role of a page, docs/builder.md, there, and leads kubectl there as that
//	kubernetes builder VARIABLE REPORT  has $VARIABLE be the builder of a build report's first function
//	kubernetes delete REPORT        deletes that one's pod at once
//	kubernetes replace              replaces all builders, as an update of theirs does
//	kubernetes resources knative    has the API know Knative's Service
//	kubernetes service VARIABLE NAME  has $VARIABLE be a URL that leads to a Service there
//	kubernetes start|stop PROGRAM   starts or stops one of the cluster's own programs
//	kubernetes await                waits until the API's server answers
func (r *rig) cmdKubernetes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: kubernetes COMMAND …")
	}
	c, err := r.startKubernetes()
	ts.Check(err)
	s := kubernetesScript{ts: ts, rig: r, cluster: c}
	command, args := args[0]+" "+strconv.Itoa(len(args)-1), args[1:]
	switch command {
	case "namespace 1":
		s.namespace(args[0])
	case "builders 1":
		s.builders(args[0])
	case "role 1":
		s.role(args[0], "builder.md")
	case "role 2":
		s.role(args[0], args[1])
	case "builder 2":
		ts.Setenv(args[0], s.builder(args[1]))
	case "delete 1":
		u, err := url.Parse(s.builder(args[0]))
		ts.Check(err)
		s.kubectl("", "delete", "pod", u.Host, "--force", "--grace-period=0")
	case "replace 0":
		s.kubectl("", "rollout", "restart", "deployment/buildkitd")
		s.kubectl("", "rollout", "status", "deployment/buildkitd", "--timeout=120s")
	case "resources 1":
		s.kubectl("", "apply", "--server-side", "--filename="+filepath.Join(c.Resources, args[0]))
	case "service 2":
		ip := s.kubectl("", "get", "service", args[1], "--output=jsonpath={.spec.clusterIP}:{.spec.ports[0].port}")
		address, err := c.Listen(context.Background(), ip)
		ts.Check(err)
		ts.Setenv(args[0], "http://"+address)
	case "start 1":
		ts.Check(c.StartProgram(args[0]))
	case "stop 1":
		ts.Check(c.StopProgram(args[0]))
	case "await 0":
		if !until(func() bool {
			_, err := c.Kubectl(context.Background(), "", "get", "--raw", "/readyz")
			return err == nil
		}) {
			ts.Fatalf("the API's server does not answer:\n%s", c.Log("kube-apiserver"))
		}
	default:
		ts.Fatalf("kubernetes %s %s: no such command", command, strings.Join(args, " "))
	}
}

// A kubernetesScript is a script that uses a cluster.
type kubernetesScript struct {
	ts      *testscript.TestScript
	rig     *rig
	cluster *cluster.Cluster
}

// kubectl runs it as the administrator, in the script's namespace.
func (s kubernetesScript) kubectl(stdin string, args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	out, err := s.cluster.Kubectl(ctx, stdin, append([]string{"--namespace=" + s.ts.Getenv("NAMESPACE")}, args...)...)
	s.ts.Check(err)
	return out
}

func (s kubernetesScript) namespace(level string) {
	name := strings.ReplaceAll(s.ts.Getenv("NAME"), "_", "-") + "-" + level
	s.ts.Setenv("NAMESPACE", name)
	// Behind fnb, and before another kubectl of the machine's.
	s.ts.Setenv("PATH", s.rig.bin+string(os.PathListSeparator)+s.cluster.Bin+string(os.PathListSeparator)+s.ts.Getenv("PATH"))
	s.kubectl(fmt.Sprintf(`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": %q, "labels": {"pod-security.kubernetes.io/enforce": %q}}}`, name, level), "apply", "--server-side", "-f", "-")
	s.ts.Defer(func() { s.kubectl("", "delete", "namespace", name, "--wait=false") })
	s.as("admin", "")
}

// as writes a kubeconfig of the namespace for an account whose token is given; "" is the administrator.
func (s kubernetesScript) as(account, token string) {
	text, err := os.ReadFile(s.cluster.Kubeconfig)
	s.ts.Check(err)
	file := s.ts.MkAbs(".kubeconfig-" + account)
	s.ts.Check(os.WriteFile(file, text, 0o600))
	args := []string{"config", "set-context", "test", "--kubeconfig=" + file, "--namespace=" + s.ts.Getenv("NAMESPACE")}
	if token != "" {
		s.kubectl("", "config", "set-credentials", account, "--kubeconfig="+file, "--token="+token)
		args = append(args, "--user="+account)
	}
	s.kubectl("", args...)
	s.ts.Setenv("KUBECONFIG", file)
}

// builders are pods with the node's network, in which the registries are at the addresses that they have here.
func (s kubernetesScript) builders(count string) {
	image, err := s.cluster.PushBuildkitd(context.Background(), s.rig.mirrors)
	s.ts.Check(err)
	s.kubectl(fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: buildkitd}
spec:
  replicas: %s
  selector: {matchLabels: {app: buildkitd}}
  template:
    metadata: {labels: {app: buildkitd}}
    spec:
      hostNetwork: true
      terminationGracePeriodSeconds: 5
      containers:
        - name: buildkitd
          image: %s
          securityContext: {privileged: true}
          readinessProbe: {exec: {command: [buildctl, debug, workers]}, timeoutSeconds: 10, periodSeconds: 2}
          volumeMounts: [{name: state, mountPath: /var/lib/buildkit}]
      volumes: [{name: state, emptyDir: {}}]
`, count, image), "apply", "--server-side", "-f", "-")
	s.kubectl("", "rollout", "status", "deployment/buildkitd", "--timeout=120s")
}

// builder is the builder of a report's first function.
func (s kubernetesScript) builder(report string) string {
	var r schema.Report
	s.ts.Check(json.Unmarshal([]byte(s.ts.ReadFile(report)), &r))
	return r.Functions[0].Builders[0]
}

var roleBlock = regexp.MustCompile("(?s)```yaml[^\n]*\n(apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: ([a-z-]+).*?)```")

// role applies the Role that a page shows, but for its namespace.
func (s kubernetesScript) role(account, page string) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	s.ts.Check(err)
	m := roleBlock.FindSubmatch(text)
	if m == nil {
		s.ts.Fatalf("docs/%s shows no Role", page)
	}
	namespace := s.ts.Getenv("NAMESPACE")
	s.kubectl(strings.ReplaceAll(string(m[1]), "namespace: build}", "namespace: "+namespace+"}"), "apply", "--server-side", "-f", "-")
	s.kubectl("", "create", "serviceaccount", account)
	s.kubectl("", "create", "rolebinding", account, "--role="+string(m[2]), "--serviceaccount="+namespace+":"+account)
	s.as(account, strings.TrimSpace(s.kubectl("", "create", "token", account)))
}
