package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
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
//	kubernetes lose HOW NAME=VALUE  waits for a step with the variable in its environment, and loses the builder
//	                                that runs it: its pod is deleted or evicted, or its buildkitd killed or stopped
//	kubernetes whole                waits until all builders are ready
//	kubernetes replace              replaces all builders, as an update of theirs does
//	kubernetes resources knative    has the API know Knative's Service
//	kubernetes queue VARIABLE       has $VARIABLE be the image of Knative's queue-proxy
//	kubernetes service VARIABLE NAME  has $VARIABLE be a URL that leads to a Service there
//	kubernetes version NAME         prints the version of kubernetes, knative, etcd-server or containerd
//	kubernetes server               has an API's server of its own answer the script's kubectl
//	kubernetes server start|stop    starts or stops that one
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
		count, err := strconv.Atoi(args[0])
		ts.Check(err)
		ts.Check(c.StartBuilders(context.Background(), ts.Getenv("NAMESPACE"), count, r.mirrors))
	case "role 1":
		s.role(args[0], "builder.md")
	case "role 2":
		s.role(args[0], args[1])
	case "builder 2":
		ts.Setenv(args[0], s.builder(args[1]))
	case "lose 2":
		s.lose(args[0], args[1])
	case "whole 0":
		ts.Check(c.AwaitBuilders(context.Background(), ts.Getenv("NAMESPACE")))
	case "replace 0":
		s.kubectl("", "rollout", "restart", "deployment/buildkitd")
		ts.Check(c.AwaitBuilders(context.Background(), ts.Getenv("NAMESPACE")))
	case "resources 1":
		s.kubectl("", "apply", "--server-side", "--filename="+filepath.Join(c.Resources, args[0]))
	case "queue 1":
		image, err := c.PushQueueProxy(context.Background())
		ts.Check(err)
		ts.Setenv(args[0], image)
	case "service 2":
		ip := s.kubectl("", "get", "service", args[1], "--output=jsonpath={.spec.clusterIP}:{.spec.ports[0].port}")
		address, err := c.Listen(context.Background(), ip)
		ts.Check(err)
		ts.Setenv(args[0], "http://"+address)
	case "version 1":
		version, err := c.Version(args[0])
		ts.Check(err)
		_, err = fmt.Fprintln(ts.Stdout(), version)
		ts.Check(err)
	case "server 0":
		url, err := c.OwnServer(context.Background())
		ts.Check(err)
		s.kubectl("", "config", "set-cluster", "test", "--kubeconfig="+ts.Getenv("KUBECONFIG"), "--server="+url)
	case "server 1":
		do := map[string]func(context.Context) error{"start": c.StartOwnServer, "stop": c.StopOwnServer}[args[0]]
		ts.Check(do(context.Background()))
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

// builder is the builder of a report's first function.
func (s kubernetesScript) builder(report string) string {
	var r schema.Report
	s.ts.Check(json.Unmarshal([]byte(s.ts.ReadFile(report)), &r))
	return r.Functions[0].Builders[0]
}

// lose loses the builder that runs a step with a variable in its environment.
func (s kubernetesScript) lose(how, variable string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	pod, pid, err := s.cluster.Working(ctx, variable)
	s.ts.Check(err)
	switch how {
	case "delete":
		s.kubectl("", "delete", "pod", pod, "--force", "--grace-period=0")
	case "evict":
		s.kubectl(fmt.Sprintf(`{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": %q}}`, pod),
			"create", "--filename=-", "--raw=/api/v1/namespaces/"+s.ts.Getenv("NAMESPACE")+"/pods/"+pod+"/eviction")
	case "kill":
		s.ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	case "stop":
		s.ts.Check(syscall.Kill(pid, syscall.SIGSTOP))
		s.ts.Defer(func() { _ = syscall.Kill(pid, syscall.SIGKILL) }) // its pod may have gone
	default:
		s.ts.Fatalf("lose %s: there is no such way", how)
	}
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
