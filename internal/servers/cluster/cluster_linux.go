package cluster

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fnb/internal/servers"
	"fnb/internal/servers/network"
)

//go:embed room.sh
var room []byte

// A Cluster is a running Kubernetes of one node.
type Cluster struct {
	// Kubeconfig is the file that makes kubectl the cluster's administrator, from outside.
	Kubeconfig string
	// Registry can be reached by its host from here, from the node, and from pods with the node's network.
	Registry *servers.Registry
	// Bin has kubectl and the cluster's other programs.
	Bin string
	// Resources has a folder of custom resource definitions for each system that has some: knative.
	Resources string

	dir     string
	group   string // of the containers, below each hierarchy of control groups
	first   *exec.Cmd
	say     io.WriteCloser // to the first process
	heard   *bufio.Scanner
	mu      sync.Mutex // of say and heard
	servers []io.Closer
	inside  sync.Map // addresses that lead outside

	own      own
	builders builders
}

// Start starts a cluster and returns when pods can be run.
func Start(ctx context.Context) (_ *Cluster, err error) {
	home, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "fnb-kubernetes-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{Bin: filepath.Join(home, "bin"), Resources: filepath.Join(home, "resources"), dir: dir, group: filepath.Base(dir), Kubeconfig: filepath.Join(dir, "kubeconfig")}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("starting Kubernetes: %w", err), c.Close())
		}
	}()
	if c.Registry, err = servers.StartRegistry(ctx, servers.RegistryOptions{}); err != nil {
		return c, err
	}
	c.servers = append(c.servers, c.Registry)
	if err := c.pushPause(ctx); err != nil {
		return c, err
	}
	outside, err := c.Listen(ctx, apiserver)
	if err != nil {
		return c, err
	}
	if err := c.writeFiles(outside); err != nil {
		return c, err
	}
	if err := c.enter(); err != nil {
		return c, err
	}
	if err := c.Reach(c.Registry.Host); err != nil {
		return c, err
	}
	return c, c.startPrograms(ctx)
}

// For starts a cluster for one test.
func For(tb testing.TB) *Cluster {
	tb.Helper()
	c, err := Start(tb.Context())
	servers.Require(tb, "kubernetes", err)
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// enter starts the first process of the namespaces.
func (c *Cluster) enter() error {
	// It outlives the call, and ends with its standard input.
	c.first = exec.CommandContext(context.Background(), "bash", filepath.Join(c.dir, "room.sh"), c.dir)
	c.first.Env = []string{"PATH=" + c.Bin + ":" + os.Getenv("PATH"), "HOME=" + c.dir}
	c.first.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Setpgid: true,
	}
	var complaint bytes.Buffer
	c.first.Stderr = &complaint
	c.first.WaitDelay = 10 * time.Second
	said, err := c.first.StdoutPipe()
	if err != nil {
		return err
	}
	if c.say, err = c.first.StdinPipe(); err != nil {
		return err
	}
	if err := c.first.Start(); err != nil {
		return fmt.Errorf("making namespaces: %w", err)
	}
	c.heard = bufio.NewScanner(said)
	if !c.heard.Scan() {
		c.close()
		return fmt.Errorf("making namespaces: %s", strings.TrimSpace(complaint.String()))
	}
	return nil
}

// startPrograms starts all programs, and returns when a pod can be run.
func (c *Cluster) startPrograms(ctx context.Context) error {
	for _, name := range []string{"etcd", "kube-apiserver", "containerd"} {
		if err := c.StartProgram(name); err != nil {
			return err
		}
	}
	if err := c.await(ctx, "kube-apiserver", "get", "--raw", "/readyz"); err != nil {
		return err
	}
	for _, name := range []string{"kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy"} {
		if err := c.StartProgram(name); err != nil {
			return err
		}
	}
	if err := c.await(ctx, "kubelet", "wait", "--for=condition=Ready", "node/"+node, "--timeout=10s"); err != nil {
		return err
	}
	if err := c.await(ctx, "kube-controller-manager", "get", "serviceaccount", "default"); err != nil {
		return err
	}
	// Nobody else takes it away: the controller that does, looks after nodes that come and go.
	_, err := c.Kubectl(ctx, "", "taint", "nodes", node, "node.kubernetes.io/not-ready-")
	return err
}

// patience is how long a program may take until it is ready, on a busy machine.
const patience = 2 * time.Minute

// await asks until kubectl is content.
func (c *Cluster) await(ctx context.Context, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		_, err := c.Kubectl(ctx, "", args...)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", program, err, c.Log(program))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// StartProgram starts one of the cluster's programs again.
func (c *Cluster) StartProgram(name string) error { return c.tell("start " + name) }

// StopProgram ends one of the cluster's programs, such as kube-apiserver.
func (c *Cluster) StopProgram(name string) error { return c.tell("stop " + name) }

func (c *Cluster) tell(line string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := fmt.Fprintln(c.say, line); err != nil {
		return err
	}
	if !c.heard.Scan() {
		return fmt.Errorf("%s: the first process has ended", line)
	}
	return nil
}

// ownServer is the program of [Cluster.OwnServer].
const ownServer = "kube-apiserver-own"

// own is a second of the API's servers.
type own struct {
	once sync.Once
	url  string
	err  error
}

// OwnServer starts another of the API's servers beside the one that all others of the cluster speak to, and returns its
// URL, for one who wants to stop it. Of a second call it is the same.
func (c *Cluster) OwnServer(ctx context.Context) (string, error) {
	c.own.once.Do(func() {
		var address string
		if address, c.own.err = c.Listen(ctx, ownAddress); c.own.err == nil {
			c.own.url = "https://" + address
			c.own.err = c.StartOwnServer(ctx)
		}
	})
	return c.own.url, c.own.err
}

// StartOwnServer starts the server of [Cluster.OwnServer] again, and returns when it answers.
func (c *Cluster) StartOwnServer(ctx context.Context) error {
	if err := c.StartProgram(ownServer); err != nil {
		return err
	}
	return c.await(ctx, ownServer, "get", "--raw=/readyz", "--server="+c.own.url)
}

// StopOwnServer ends the server of [Cluster.OwnServer].
func (c *Cluster) StopOwnServer(context.Context) error { return c.StopProgram(ownServer) }

// Log is the end of what a program has printed, or of why connections from outside led nowhere: "network".
func (c *Cluster) Log(program string) string {
	text, err := os.ReadFile(filepath.Join(c.dir, "log", program))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// Version is that of "kubernetes", "knative", "etcd-server" or "containerd".
func (c *Cluster) Version(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(c.Bin), "versions"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		what, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		if what == name || what == map[string]string{"kubernetes": "k8s.io/kubernetes", "knative": "knative.dev/serving"}[name] {
			return strings.TrimPrefix(version, "v"), nil
		}
	}
	return "", fmt.Errorf("no version of %s", name)
}

// Kubectl runs kubectl as the administrator and returns what it prints. What it complains about is in the error.
func (c *Cluster) Kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(c.Bin, "kubectl"), args...)
	cmd.Env = append(os.Environ(), c.Env()...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = time.Second
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return string(out), nil
}

// Env has kubectl in PATH and leads it to the cluster, as NAME=value.
func (c *Cluster) Env() []string {
	return []string{"KUBECONFIG=" + c.Kubeconfig, "PATH=" + c.Bin + string(os.PathListSeparator) + os.Getenv("PATH")}
}

// Dial connects from the node: to a pod, or to a Service as pods do.
func (c *Cluster) Dial(ctx context.Context, kind, address string) (conn net.Conn, err error) {
	err = network.In(c.first.Process.Pid, func() error {
		conn, err = (&net.Dialer{}).DialContext(ctx, kind, address)
		return err
	})
	return conn, err
}

// Reach has an address of this machine's loopback, such as a registry's, lead there from the node, too,
// and from pods with the node's network.
func (c *Cluster) Reach(host string) error {
	if _, ok := c.inside.LoadOrStore(host, true); ok {
		return nil
	}
	listener, err := network.Reach(c.first.Process.Pid, host, c.note)
	if err == nil {
		c.keep(listener)
	}
	return err
}

// Listen has an address of this machine's loopback, which it returns, lead to one that the node reaches, such
// as a Service's.
func (c *Cluster) Listen(ctx context.Context, address string) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	c.keep(listener)
	go network.Forward(listener, func(ctx context.Context) (net.Conn, error) { return c.Dial(ctx, "tcp", address) }, c.note)
	return listener.Addr().String(), nil
}

// keep has what listens end with the cluster.
func (c *Cluster) keep(listener net.Listener) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.servers = append(c.servers, listener)
}

// note writes to the log "network" why a connection leads nowhere.
func (c *Cluster) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, openErr := os.OpenFile(filepath.Join(c.dir, "log", "network"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if openErr != nil {
		return // the cluster has ended
	}
	defer func() { _ = f.Close() }() // a log
	_, _ = fmt.Fprintln(f, time.Now().Format(time.StampMilli), err)
}

// Close ends the cluster and removes all that it had.
func (c *Cluster) Close() error {
	c.close()
	var errs []error
	for i := len(c.servers) - 1; i >= 0; i-- {
		if err := c.servers[i].Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, removeGroups(c.group), os.RemoveAll(c.dir))...)
}

// close ends the first process, with which the kernel ends all others.
func (c *Cluster) close() {
	if c.first == nil || c.first.Process == nil {
		return
	}
	_ = c.first.Process.Kill() // it may have ended
	_ = c.first.Wait()         // with the signal
	c.first = nil
}

// removeGroups removes the control groups of containers that have ended.
func removeGroups(name string) error {
	roots, err := filepath.Glob("/sys/fs/cgroup/*/" + name)
	if err != nil {
		return err
	}
	if _, err := os.Stat("/sys/fs/cgroup/" + name); err == nil {
		roots = append(roots, "/sys/fs/cgroup/"+name)
	}
	var errs []error
	for _, root := range roots {
		errs = append(errs, removeGroup(root))
	}
	return errors.Join(errs...)
}

// removeGroup removes a control group and those in it. A folder's files are the kernel's.
func removeGroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeGroup(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		// The last of its processes may be about to end.
		if err := syscall.Rmdir(dir); !errors.Is(err, syscall.EBUSY) || time.Now().After(end) {
			return err
		}
	}
}
