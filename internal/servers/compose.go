package servers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"fnb/internal/servers/layertar"
)

// lock lets one process at a time change what is in the cache folder.
func (m *standinMaker) lock(ctx context.Context) (unlock func(), err error) {
	return lockFile(ctx, filepath.Join(m.dir, "lock"))
}

// ensure pushes whatever stand-in the registry does not have as it should be.
func (m *standinMaker) ensure(ctx context.Context, layers map[string]map[string]string) error {
	certs, err := m.certificateLayer()
	if err != nil {
		return err
	}
	env := append(certificateEnv(), machineEnv(ctx)...)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for _, s := range m.wanted() {
		group.Go(func() error {
			if err := m.ensureOne(ctx, s, layers, certs, env); err != nil {
				return fmt.Errorf("%s: %w", s.ref, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// ensureOne pushes one stand-in unless the cache says that this registry has it. Layers are made by architecture and name.
func (m *standinMaker) ensureOne(ctx context.Context, s standin, made map[string]map[string]string, certs string, env []string) error {
	paths := map[string][]string{}
	var all []string
	for _, arch := range slices.Sorted(maps.Keys(made)) {
		for _, layer := range s.layers {
			paths[arch] = append(paths[arch], made[arch][layer])
		}
		if s.layers[0] != "watchdog" {
			paths[arch] = append(paths[arch], certs)
		}
		all = append(all, paths[arch]...)
	}
	if s.layers[0] != "watchdog" {
		s.env = append(s.env, env...)
	}
	stamp := filepath.Join(m.registry(), "made", strings.NewReplacer("/", "_", ":", "_").Replace(s.ref))
	key, err := stampKey(s, all)
	if err != nil {
		return err
	}
	// A stamp that cannot be read is one that is not there.
	if old, _ := os.ReadFile(stamp); string(old) == key {
		return nil
	}
	m.log("making the stand-in for %s: %s", s.ref, s.what)
	if err := m.push(ctx, s, paths); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(stamp), 0o755); err != nil {
		return err
	}
	return os.WriteFile(stamp, []byte(key), 0o644)
}

// stampKey tells whether a stand-in that was pushed is still the one wanted.
func stampKey(s standin, paths []string) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%+v\n", s)
	if how := s.started(); how.ports != nil { // most images say nothing of that
		fmt.Fprintf(sum, "%+v\n", how)
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d %d\n", filepath.Base(path), info.Size(), info.ModTime().UnixNano())
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// push makes the images of a stand-in, of layers by architecture, and pushes them under its own name.
func (m *standinMaker) push(ctx context.Context, s standin, paths map[string][]string) error {
	ref, err := name.ParseReference(m.host+"/"+s.repository(), name.Insecure)
	if err != nil {
		return err
	}
	native := v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
	img, err := m.image(s, native, paths[native.Architecture])
	if err != nil {
		return err
	}
	if len(s.foreign) == 0 && len(m.emulated) == 0 {
		return remote.Write(ref, img, remote.WithContext(ctx))
	}
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &native}})
	add := func(platform v1.Platform, s standin, paths []string) error {
		img, err := m.image(s, platform, paths)
		if err == nil {
			index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &platform}})
		}
		return err
	}
	for _, arch := range m.emulated {
		if err := add(v1.Platform{OS: "linux", Architecture: arch}, s, paths[arch]); err != nil {
			return err
		}
	}
	for _, text := range s.foreign {
		platform, err := v1.ParsePlatform(text)
		if err != nil {
			return err
		}
		if slices.Contains(m.emulated, platform.Architecture) {
			continue
		}
		s.what += ", of another platform's programs, for COPY only"
		if err := add(*platform, s, paths[native.Architecture]); err != nil {
			return err
		}
	}
	return remote.WriteIndex(ref, index, remote.WithContext(ctx))
}

// image is a stand-in of layers that are files.
func (m *standinMaker) image(s standin, platform v1.Platform, paths []string) (v1.Image, error) {
	var layers []v1.Layer
	for _, path := range paths {
		layer, err := once(&m.layers, path, func() (v1.Layer, error) {
			return tarball.LayerFromFile(path, tarball.WithMediaType(types.OCILayer))
		})
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	return composeImage(s, platform, layers)
}

// composeImage puts layers and configuration together, with labels that say
// what it is.
func composeImage(s standin, platform v1.Platform, layers []v1.Layer) (v1.Image, error) {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.AppendLayers(img, layers...)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Variant = platform.OS, platform.Architecture, platform.Variant
	file.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	file.Config = v1.Config{
		Env: s.env, User: s.user, WorkingDir: s.dir, Cmd: s.cmd,
		Entrypoint: s.started().entrypoint, Volumes: s.started().volumes, ExposedPorts: s.started().ports, StopSignal: s.started().stop,
		Labels: map[string]string{"fnb.standin": "true", "fnb.standin.for": s.ref, "fnb.standin.made-of": s.what},
	}
	return mutate.ConfigFile(img, file)
}

// certificateLayer writes the layer with this machine's certificates, named by
// what is in it.
func (m *standinMaker) certificateLayer() (string, error) {
	text, err := machineCertificates()
	if err != nil {
		return "", fmt.Errorf("reading this machine's certificates: %w", err)
	}
	return m.contentLayer("certificates", text, func(w *layertar.Writer) error {
		if err := w.File("etc/ssl/certs/ca-certificates.crt", 0o644, text); err != nil {
			return err
		}
		return w.File(certificates[1:], 0o644, text)
	})
}

// watchdogLayer writes the layer with fnb's own watchdog as /fwatchdog.
func (m *standinMaker) watchdogLayer(ctx context.Context) (string, error) {
	root, err := Checkout()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "fwatchdog")
	if !executable(path) {
		if err := goBuild(ctx, root, path, "./cmd/fwatchdog"); err != nil {
			return "", err
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return m.contentLayer("watchdog", data, func(w *layertar.Writer) error { return w.File("fwatchdog", 0o755, data) })
}

// contentLayer writes a layer whose file name holds the digest of its content.
func (m *standinMaker) contentLayer(name string, content []byte, write func(*layertar.Writer) error) (string, error) {
	sum := sha256.Sum256(content)
	path := filepath.Join(m.dir, "layers", fmt.Sprintf("%s-%x.tar.gz", name, sum[:8]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, layertar.WriteFile(path, write)
}
