package servers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// standinMaker makes stand-ins in a cache folder and pushes them to a registry
// whose storage is in the same folder.
type standinMaker struct {
	dir  string // the cache folder
	host string // the registry
	log  func(format string, args ...any)
}

// layerVersion is part of a cached layer's file name; it is to be raised when
// the way a layer is made changes.
const layerVersion = "2"

// makeLayer makes the gzipped tar of a layer when the cache does not have it,
// and returns its path.
func (m *standinMaker) makeLayer(ctx context.Context, name string) (string, error) {
	suffix := ""
	switch name {
	case "watchdog":
		return m.watchdogLayer(ctx)
	case "go":
		suffix = "-" + runtime.Version()
	}
	path := filepath.Join(m.dir, "layers", fmt.Sprintf("%s%s-%s-%s.tar.gz", name, suffix, runtime.GOARCH, layerVersion))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	m.log("making the stand-ins' layer %q", name)
	var write func(*layerWriter) error
	switch name {
	case "debian":
		write = func(w *layerWriter) error { return m.writeRoot(ctx, w) }
	case "git":
		write = func(w *layerWriter) error { return m.writePackages(ctx, w, "git", "ca-certificates") }
	case "python":
		write = func(w *layerWriter) error { return m.writePython(ctx, w) }
	case "go":
		write = func(w *layerWriter) error { return writeGo(ctx, w) }
	case "node":
		write = func(w *layerWriter) error { return m.writeNode(ctx, w) }
	case "static":
		write = writeStatic
	case "alpine":
		write = writeAlpine
	default:
		return "", fmt.Errorf("layer %q: no such layer", name)
	}
	if err := writeLayerFile(path, write); err != nil {
		return "", fmt.Errorf("layer %q: %w", name, err)
	}
	return path, nil
}

// debianRoot makes a Debian root with some packages and returns its tar.
func (m *standinMaker) debianRoot(ctx context.Context, packages ...string) (string, error) {
	key := strings.Join(append([]string{"bookworm"}, packages...), "+")
	path := filepath.Join(m.dir, "roots", key+"-"+runtime.GOARCH+".tar")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return "", fmt.Errorf("%w; install it with: apt-get install mmdebstrap", err)
	}
	args := []string{"--variant=minbase", "--format=tar"}
	if len(packages) > 0 {
		args = append(args, "--include="+strings.Join(packages, ","))
	}
	// No mirror is named: mmdebstrap finds its own.
	cmd := exec.CommandContext(ctx, "mmdebstrap", append(args, "bookworm", path+".new")...)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("mmdebstrap: %w\n%s", err, tail(string(out), 10))
	}
	return path, os.Rename(path+".new", path)
}

// writeRoot writes the plain Debian root.
func (m *standinMaker) writeRoot(ctx context.Context, w *layerWriter) error {
	path, err := m.debianRoot(ctx)
	if err != nil {
		return err
	}
	return w.copyDifference("", path)
}

// writePackages writes what a root with packages has beyond the plain root.
func (m *standinMaker) writePackages(ctx context.Context, w *layerWriter, packages ...string) error {
	base, err := m.debianRoot(ctx)
	if err != nil {
		return err
	}
	full, err := m.debianRoot(ctx, packages...)
	if err != nil {
		return err
	}
	return errors.Join(w.copyDifference(base, full), os.Remove(full))
}

func (m *standinMaker) writePython(ctx context.Context, w *layerWriter) error {
	if err := m.writePackages(ctx, w, "python3", "python3-pip", "python3-venv", "ca-certificates"); err != nil {
		return err
	}
	for name, target := range map[string]string{
		"python": "/usr/bin/python3", "python3": "/usr/bin/python3", "pip": "/usr/bin/pip3", "pip3": "/usr/bin/pip3",
	} {
		if err := w.symlink("usr/local/bin/"+name, target); err != nil {
			return err
		}
	}
	return nil
}

// writeGo copies this machine's Go toolchain to /usr/local/go.
func writeGo(ctx context.Context, w *layerWriter) error {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	if err := w.mkdir("go/bin"); err != nil {
		return err
	}
	return w.copyTree(strings.TrimSpace(string(out)), "usr/local/go", func(path string) bool {
		return slices.Contains([]string{"test", "api", "doc", "pkg/obj", ".git"}, path)
	})
}

// writeNode installs Node and npm with this machine's npm, adds the user that
// Docker's image has, and puts them under /usr/local.
func (m *standinMaker) writeNode(ctx context.Context, w *layerWriter) error {
	tmp, err := os.MkdirTemp(m.dir, "npm-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // the cache folder may be deleted at any time
	arch, ok := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	if !ok {
		return fmt.Errorf("no Node is published on npm for %s", runtime.GOARCH)
	}
	node := "node-linux-" + arch
	cmd := exec.CommandContext(ctx, "npm", "install", "--prefix", tmp, "--ignore-scripts", "--no-save", "--no-audit", "--no-fund", node+"@24", "npm@11")
	cmd.Dir = tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm install: %w; npm is installed with: apt-get install npm\n%s", err, tail(string(out), 10))
	}
	modules := filepath.Join(tmp, "node_modules")
	binary, err := os.ReadFile(filepath.Join(modules, node, "bin", "node"))
	if err != nil {
		return err
	}
	if err := w.file("usr/local/bin/node", 0o755, binary); err != nil {
		return err
	}
	if err := w.copyTree(filepath.Join(modules, "npm"), "usr/local/lib/node_modules/npm", nil); err != nil {
		return err
	}
	for _, name := range []string{"npm", "npx"} {
		if err := w.symlink("usr/local/bin/"+name, "../lib/node_modules/npm/bin/"+name+"-cli.js"); err != nil {
			return err
		}
	}
	return m.addNodeUser(ctx, w)
}

// addNodeUser adds the user node, 1000, to the Debian root's users.
func (m *standinMaker) addNodeUser(ctx context.Context, w *layerWriter) error {
	root, err := m.debianRoot(ctx)
	if err != nil {
		return err
	}
	for name, line := range map[string]string{
		"etc/passwd": "node:x:1000:1000::/home/node:/bin/bash\n",
		"etc/group":  "node:x:1000:\n",
	} {
		text, err := readFromTar(root, name)
		if err != nil {
			return err
		}
		if err := w.file(name, 0o644, append(text, line...)); err != nil {
			return err
		}
	}
	return w.dir("home/node", 0o755, 1000)
}

// writeStatic writes a root without programs, for static binaries.
func writeStatic(w *layerWriter) error {
	for name, text := range map[string]string{
		"etc/passwd":        "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
		"etc/group":         "root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:65532:\n",
		"etc/nsswitch.conf": "hosts: files dns\n",
	} {
		if err := w.file(name, 0o644, []byte(text)); err != nil {
			return err
		}
	}
	return errors.Join(w.dir("home/nonroot", 0o700, 65532), w.dir("tmp", 0o777|fs.ModeSticky, 0))
}

// writeAlpine writes the commands of Alpine that Dockerfiles call.
func writeAlpine(w *layerWriter) error {
	for name, text := range map[string]string{"apk": apkScript, "addgroup": addgroupScript, "adduser": adduserScript} {
		if err := w.file("usr/local/sbin/"+name, 0o755, []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

// machineCertificates returns the certificate authorities that this machine
// trusts, as PEM; nothing where no bundle is found.
func machineCertificates() ([]byte, error) {
	for _, path := range []string{
		os.Getenv("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
	} {
		if path == "" {
			continue
		}
		text, err := os.ReadFile(path)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return text, err
		}
	}
	return nil, nil
}

// machineEnv returns how this machine's Go, pip and npm are told where packages
// come from, as environment variables. Addresses that hold a password are left out.
func machineEnv(ctx context.Context) []string {
	var env []string
	add := func(name, value string) {
		if value = strings.TrimSpace(value); value != "" && value != "undefined" && !strings.Contains(value, "@") {
			env = append(env, name+"="+value)
		}
	}
	// A client that is missing or has no setting has nothing to hand on.
	if out, err := exec.CommandContext(ctx, "go", "env", "-changed", "-json").Output(); err == nil {
		settings := map[string]string{}
		_ = json.Unmarshal(out, &settings)
		for _, name := range []string{"GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOSUMCHECK", "GOINSECURE"} {
			add(name, settings[name])
		}
	}
	add("PIP_INDEX_URL", clientSetting(ctx, "PIP_INDEX_URL", "pip3", "config", "get", "global.index-url"))
	add("NPM_CONFIG_REGISTRY", clientSetting(ctx, "NPM_CONFIG_REGISTRY", "npm", "config", "get", "registry"))
	return env
}

// clientSetting returns an environment variable, or what a client says.
func clientSetting(ctx context.Context, variable, name string, args ...string) string {
	if value := os.Getenv(variable); value != "" {
		return value
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = io.Discard
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return string(out)
}
