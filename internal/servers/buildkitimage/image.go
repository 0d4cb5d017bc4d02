// Package buildkitimage writes what a container needs to be a builder: begin with [Write].
package buildkitimage

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"fnb/internal/servers"
	"fnb/internal/servers/layertar"
)

// Path is the environment's PATH in such an image.
const Path = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Write writes the programs of a builder, and its settings: it finds base images as mirrors say, see [servers.Bases].
func Write(ctx context.Context, w *layertar.Writer, mirrors map[string]string) error {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	files := map[string]string{"usr/local/bin/runc": runc}
	for _, tool := range []string{"buildkitd", "buildctl"} {
		if files["usr/local/bin/"+tool], err = servers.Tool(ctx, tool); err != nil {
			return err
		}
	}
	if err := write(w, files); err != nil {
		return err
	}
	var settings strings.Builder
	settings.WriteString("[worker.oci]\nnetworkMode = \"host\"\n[worker.containerd]\nenabled = false\n")
	for _, host := range slices.Sorted(maps.Keys(mirrors)) {
		fmt.Fprintf(&settings, "[registry.%q]\nmirrors = [%q]\n", host, mirrors[host])
	}
	for _, host := range slices.Compact(slices.Sorted(maps.Values(mirrors))) {
		fmt.Fprintf(&settings, "[registry.%q]\nhttp = true\n", host)
	}
	return w.File("etc/buildkit/buildkitd.toml", 0o644, []byte(settings.String()))
}

// library is a file that ldd names: "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)", or the loader alone.
var library = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// WriteLibraries writes this machine's libraries that runc needs, for an image with nothing below it.
func WriteLibraries(ctx context.Context, w *layertar.Writer) error {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "ldd", runc).CombinedOutput()
	if err != nil && !bytes.Contains(out, []byte("not a dynamic executable")) {
		return fmt.Errorf("ldd %s: %w\n%s", runc, err, out)
	}
	files := map[string]string{}
	for _, m := range library.FindAllStringSubmatch(string(out), -1) {
		files[strings.TrimPrefix(m[1], "/")] = m[1]
	}
	if err := write(w, files); err != nil {
		return err
	}
	return w.Dir("tmp", 0o777|fs.ModeSticky, 0)
}

func write(w *layertar.Writer, files map[string]string) error {
	for _, place := range slices.Sorted(maps.Keys(files)) {
		program, err := os.ReadFile(files[place])
		if err != nil {
			return err
		}
		if err := w.File(place, 0o755, program); err != nil {
			return err
		}
	}
	return nil
}
