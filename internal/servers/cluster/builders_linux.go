package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"fnb/internal/servers/buildkitimage"
	"fnb/internal/servers/layertar"
)

// builders is the image of those that pods run.
type builders struct {
	once  sync.Once
	image string
	err   error
}

// StartBuilders starts a Deployment of that name of as many pods with a buildkitd each, in a namespace that lets them be
// privileged, and returns when all are ready. They have the label app=buildkitd and the node's network, in which they
// find base images as mirrors say, see [servers.Bases]. All calls have the same mirrors.
func (c *Cluster) StartBuilders(ctx context.Context, namespace string, count int, mirrors map[string]string) error {
	c.builders.once.Do(func() { c.builders.image, c.builders.err = c.pushBuildkitd(ctx, mirrors) })
	if c.builders.err != nil {
		return c.builders.err
	}
	_, err := c.Kubectl(ctx, fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: buildkitd, namespace: %s}
spec:
  replicas: %d
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
          env: [{name: BUILDKITD_POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
          readinessProbe: {exec: {command: [buildctl, debug, workers]}, timeoutSeconds: 10, periodSeconds: 2}
          volumeMounts: [{name: state, mountPath: /var/lib/buildkit}]
      volumes: [{name: state, emptyDir: {}}]
`, namespace, count, c.builders.image), "apply", "--server-side", "-f", "-")
	if err != nil {
		return err
	}
	return c.AwaitBuilders(ctx, namespace)
}

// AwaitBuilders waits until all pods of [Cluster.StartBuilders] are ready.
func (c *Cluster) AwaitBuilders(ctx context.Context, namespace string) error {
	_, err := c.Kubectl(ctx, "", "rollout", "status", "deployment/buildkitd", "--namespace="+namespace, "--timeout="+patience.String())
	return err
}

// Working waits until a pod of [Cluster.StartBuilders] runs a step with a variable, as NAME=value, in its environment. It
// returns the pod's name, and the process of its buildkitd as this machine counts processes.
func (c *Cluster) Working(ctx context.Context, variable string) (pod string, pid int, err error) {
	for {
		files, err := filepath.Glob("/proc/[0-9]*/environ")
		if err != nil {
			return "", 0, err
		}
		for _, file := range files {
			if !slices.Contains(variables(file), variable) {
				continue
			}
			// The uppermost process above it that was told its pod's name: what buildkitd starts is told, too.
			above, _ := strconv.Atoi(filepath.Base(filepath.Dir(file))) // digits
			for ; above > 0; above = parent(above) {
				for _, v := range variables(fmt.Sprintf("/proc/%d/environ", above)) {
					if name, ok := strings.CutPrefix(v, "BUILDKITD_POD="); ok {
						pod, pid = name, above
					}
				}
			}
			if pod != "" {
				return pod, pid, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", 0, fmt.Errorf("no builder runs a step with %s: %w", variable, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// variables are those of a process; one that has ended has none.
func variables(environ string) []string {
	raw, _ := os.ReadFile(environ)
	return strings.Split(string(raw), "\x00")
}

var parentLine = regexp.MustCompile(`(?m)^PPid:\t(\d+)$`)

// parent is the process that has started another one, 0 if there is none.
func parent(pid int) int {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // it may have ended
	if m := parentLine.FindSubmatch(raw); m != nil {
		n, _ := strconv.Atoi(string(m[1])) // digits
		return n
	}
	return 0
}

// pushBuildkitd pushes an image of buildkitd as others have it, on Debian, and returns its reference.
func (c *Cluster) pushBuildkitd(ctx context.Context, mirrors map[string]string) (string, error) {
	base := "debian:bookworm-slim"
	if mirror, ok := mirrors["docker.io"]; ok {
		base = mirror + "/library/" + base
	}
	from, err := name.ParseReference(base)
	if err != nil {
		return "", err
	}
	img, err := remote.Image(from, remote.WithContext(ctx))
	if err != nil {
		return "", err
	}
	file := filepath.Join(c.dir, "buildkitd.tar.gz")
	if err := layertar.WriteFile(file, func(w *layertar.Writer) error { return buildkitimage.Write(ctx, w, mirrors) }); err != nil {
		return "", err
	}
	layer, err := tarball.LayerFromFile(file)
	if err != nil {
		return "", err
	}
	if img, err = mutate.AppendLayers(img, layer); err != nil {
		return "", err
	}
	if img, err = mutate.Config(img, v1.Config{Entrypoint: []string{"buildkitd"}, Env: []string{buildkitimage.Path}}); err != nil {
		return "", err
	}
	ref, err := name.ParseReference(c.Registry.Host + "/buildkitd:1")
	if err != nil {
		return "", err
	}
	for _, host := range mirrors {
		if err := c.Reach(host); err != nil {
			return "", err
		}
	}
	return ref.String(), remote.Write(ref, img, remote.WithContext(ctx))
}
