package cluster_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fnb/internal/servers/cluster"
)

// settings are those of the machine that Kubernetes' programs change where they can.
func settings(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, name := range []string{"vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward"} {
		text, err := os.ReadFile("/proc/sys/" + name)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(name + " " + string(text))
	}
	return b.String()
}

// A pod runs in a cluster, whose end leaves nothing on the machine.
func TestCluster(t *testing.T) {
	before := settings(t)
	c := cluster.For(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	pod := `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "idle"}, "spec": {"containers": [{"name": "idle", "image": "` + c.Registry.Host + `/pause:1", "resources": {"limits": {"memory": "32Mi"}}}]}}`
	if _, err := c.Kubectl(ctx, pod, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Kubectl(ctx, "", "wait", "--for=condition=Ready", "pod/idle", "--timeout=120s"); err != nil {
		out, _ := c.Kubectl(ctx, "", "describe", "pod", "idle")
		t.Fatal(err, out, c.Log("kubelet"), c.Log("containerd"))
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if after := settings(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	name := filepath.Base(filepath.Dir(c.Kubeconfig))
	for _, pattern := range []string{"/sys/fs/cgroup/" + name, "/sys/fs/cgroup/*/" + name, os.TempDir() + "/" + name, "/sys/class/net/pods"} {
		if left, err := filepath.Glob(pattern); err != nil || len(left) > 0 {
			t.Errorf("left: %v %v", left, err)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), name) {
		t.Errorf("mounts are left:\n%s", mounts)
	}
}
