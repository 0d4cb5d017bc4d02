package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"fnb/internal/servers"
)

func errorsAs[T error](err error, target *T) bool { return errors.As(err, target) }

// readLayers has what was found in the layers that pullImage has read, by digest: those of base images are in most images.
var readLayers sync.Map

// pullImage reads an image of a registry and validates it, blobs and all, of which it reads each once.
func pullImage(ref, platform string) (v1.Image, error) {
	r, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		return nil, err
	}
	var opts []remote.Option
	if platform != "" {
		p, err := v1.ParsePlatform(platform)
		if err != nil {
			return nil, err
		}
		opts = append(opts, remote.WithPlatform(*p))
	}
	img, err := remote.Image(r, opts...)
	if err != nil {
		return nil, err
	}
	if err := validate.Image(img, validate.Fast); err != nil { // that layers are there, and the rest
		return nil, err
	}
	m, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	if len(m.Layers) != len(config.RootFS.DiffIDs) {
		return nil, fmt.Errorf("%s has %d layers, and %d in its configuration", ref, len(m.Layers), len(config.RootFS.DiffIDs))
	}
	for i, d := range m.Layers {
		said := fmt.Sprintf("%d bytes of %s", d.Size, config.RootFS.DiffIDs[i])
		read, known := readLayers.Load(d.Digest)
		if !known {
			layer, err := img.LayerByDigest(d.Digest)
			if err != nil {
				return nil, err
			}
			if err := validate.Layer(layer); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", ref, d.Digest, err)
			}
			read, _ = readLayers.LoadOrStore(d.Digest, said)
		}
		if read != said {
			return nil, fmt.Errorf("%s: %s is %s, and said to be %s", ref, d.Digest, read, said)
		}
	}
	return img, nil
}

// describeImage writes an image as lines that a script can look at.
func describeImage(ref string, platform ...string) (string, error) {
	img, err := pullImage(ref, strings.Join(platform, ""))
	if err != nil {
		return "", err
	}
	c, err := img.ConfigFile()
	if err != nil {
		return "", err
	}
	m, err := img.Manifest()
	if err != nil {
		return "", err
	}
	d, err := img.Digest()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "digest %s\nplatform %s\nuser %s\nworkdir %s\nentrypoint %q\ncmd %q\n", d, c.Platform(), c.Config.User, c.Config.WorkingDir, c.Config.Entrypoint, c.Config.Cmd)
	for _, e := range c.Config.Env {
		fmt.Fprintf(&b, "env %s\n", e)
	}
	for _, k := range sorted(c.Config.Labels) {
		fmt.Fprintf(&b, "label %s=%s\n", k, c.Config.Labels[k])
	}
	for _, k := range sorted(m.Annotations) {
		fmt.Fprintf(&b, "annotation %s=%s\n", k, m.Annotations[k])
	}
	for _, l := range m.Layers {
		fmt.Fprintf(&b, "layer %s\n", l.Digest)
	}
	return b.String() + files(img), nil
}

// files lists an image's files below the folders that functions live in.
func files(img v1.Image) string {
	var b strings.Builder
	rc := mutate.Extract(img)
	defer rc.Close()
	tr := tar.NewReader(rc)
	for {
		h, err := tr.Next()
		if err != nil {
			return b.String()
		}
		p := "/" + strings.TrimPrefix(h.Name, "/")
		if strings.HasPrefix(p, "/home/") || strings.HasSuffix(p, "/fwatchdog") {
			fmt.Fprintf(&b, "file %s %#o %d:%d %d\n", p, h.Mode&0o7777, h.Uid, h.Gid, h.ModTime.Unix())
		}
	}
}

func sorted(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// callImage runs an image outside of the builder, sends it a request once it is
// ready, and stops it with SIGTERM, for which it does not pause: 30 s are a container's.
func callImage(ctx context.Context, ref, body string, env []string) (_ string, err error) {
	c, err := servers.RunImage(ctx, ref, servers.ContainerOptions{Env: append([]string{"healthcheck_interval=1ms"}, env...)})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return callContainer(ctx, c, "/", body)
}

// callContainer sends a request to a container once it is ready, and stops it with SIGTERM.
func callContainer(ctx context.Context, c *servers.Container, path, body string) (string, error) {
	if err := c.Await(ctx, "/_/ready", http.StatusOK); err != nil {
		return "", fmt.Errorf("%w\n%s", err, c.Log())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	res, err := c.Client().Do(req)
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, c.Log())
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	exit, err := c.Stop(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("status %d\n%s\nexit %d\n", res.StatusCode, raw, exit.Code), nil
}
