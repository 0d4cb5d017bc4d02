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
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"fnb/internal/servers/debroot"
	"fnb/internal/servers/layertar"
)

// standinMaker makes stand-ins in a cache folder and pushes them to a registry
// whose storage is in the same folder.
type standinMaker struct {
	dir  string // the cache folder
	host string // the registry
	log  func(format string, args ...any)
	only []string // references; nil is all

	arch     string   // whose programs layers have, in Go's words
	emulated []string // further architectures that images have

	roots  sync.Map // what makes a root, once, by its path
	layers sync.Map // what reads a layer, once, by its path
}

// once calls what makes the value of a key, the first time that somebody asks for it.
func once[V any](m *sync.Map, key string, value func() (V, error)) (V, error) {
	made, _ := m.LoadOrStore(key, sync.OnceValues(value))
	return made.(func() (V, error))()
}

// of makes layers for another architecture, in the same folder.
func (m *standinMaker) of(arch string) *standinMaker {
	return &standinMaker{dir: m.dir, log: m.log, only: m.only, arch: arch, emulated: m.emulated}
}

// wanted are the stand-ins that are to be there.
func (m *standinMaker) wanted() []standin {
	return slices.DeleteFunc(standins(), func(s standin) bool {
		return m.only != nil && !slices.Contains(m.only, s.ref) || len(m.emulated) > 0 && s.native()
	})
}

// registry is the folder of the registry.
func (m *standinMaker) registry() string {
	return filepath.Join(m.dir, strings.Join(append([]string{"registry"}, m.emulated...), "-"))
}

// The releases of Debian that stand-ins are made of.
const (
	bookworm = "bookworm"
	trixie   = "trixie"
)

// layerVersion is part of a cached layer's file name; it is to be raised when
// the way a layer is made changes.
const layerVersion = "2"

// makeLayers makes the layers of all stand-ins and returns their paths by name. It makes
// several at a time: one that is made mostly waits, for packages and for the disk.
func (m *standinMaker) makeLayers(ctx context.Context) (map[string]string, error) {
	var names []string
	for _, s := range m.wanted() {
		names = append(names, s.layers...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	paths := make([]string, len(names))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i, name := range names {
		group.Go(func() (err error) {
			paths[i], err = m.makeLayer(ctx, name)
			return err
		})
	}
	err := group.Wait()
	if err := errors.Join(err, os.RemoveAll(m.rootPath(bookworm, pythonPackages()...))); err != nil {
		return nil, err
	}
	byName := map[string]string{}
	for i, name := range names {
		byName[name] = paths[i]
	}
	return byName, nil
}

// makeLayer makes the gzipped tar of a layer when the cache does not have it,
// and returns its path.
func (m *standinMaker) makeLayer(ctx context.Context, name string) (string, error) {
	suffix := ""
	switch name {
	case "watchdog":
		return m.watchdogLayer(ctx)
	case "truststore":
		return m.trustStoreLayer()
	case "go":
		suffix = "-" + runtime.Version()
	}
	path := filepath.Join(m.dir, "layers", fmt.Sprintf("%s%s-%s-%s.tar.gz", name, suffix, m.arch, layerVersion))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	m.log("making the stand-ins' layer %q", name)
	var write func(*layertar.Writer) error
	switch name {
	case "debian":
		write = func(w *layertar.Writer) error { return m.writeSuite(ctx, w, bookworm) }
	case "git":
		write = func(w *layertar.Writer) error { return m.writeSuite(ctx, w, bookworm, "git", "ca-certificates") }
	case "cc":
		write = func(w *layertar.Writer) error {
			return m.writeSuite(ctx, w, bookworm, "gcc", "libc6-dev", "ca-certificates")
		}
	case "python":
		write = func(w *layertar.Writer) error { return m.writePython(ctx, w) }
	case "go":
		write = func(w *layertar.Writer) error { return writeGo(ctx, w) }
	case "node":
		write = func(w *layertar.Writer) error { return m.writeNode(ctx, w) }
	case "rust":
		write = func(w *layertar.Writer) error { return m.writeRust(ctx, w) }
	case "bun":
		write = func(w *layertar.Writer) error { return m.writeBun(ctx, w) }
	case "deno":
		write = func(w *layertar.Writer) error { return m.writeDeno(ctx, w) }
	case "trixie":
		write = func(w *layertar.Writer) error { return m.writeSuite(ctx, w, trixie) }
	case "jre21", "jre25":
		write = func(w *layertar.Writer) error {
			return m.writeSuite(ctx, w, trixie, "openjdk-"+name[3:]+"-jre-headless", "ca-certificates")
		}
	case "jdk21", "jdk25":
		write = func(w *layertar.Writer) error {
			return m.writeSuite(ctx, w, trixie, "openjdk-"+name[3:]+"-jdk-headless", "maven", "git", "ca-certificates")
		}
	case "servers":
		write = func(w *layertar.Writer) error { return m.writeServers(ctx, w) }
	case "postgres":
		write = writePostgres
	case "static":
		write = writeStatic
	case "libraries":
		write = func(w *layertar.Writer) error { return m.writeLibraries(ctx, w) }
	case "alpine":
		write = writeAlpine
	default:
		return "", fmt.Errorf("layer %q: no such layer", name)
	}
	if err := layertar.WriteFile(path, write); err != nil {
		return "", fmt.Errorf("layer %q: %w", name, err)
	}
	return path, nil
}

// debianRoot makes a root of Debian bookworm with some packages and returns its tar.
func (m *standinMaker) debianRoot(ctx context.Context, packages ...string) (string, error) {
	return m.suiteRoot(ctx, bookworm, packages...)
}

// suiteRoot makes a root of a release of Debian with some packages and returns its tar.
func (m *standinMaker) suiteRoot(ctx context.Context, suite string, packages ...string) (string, error) {
	path := m.rootPath(suite, packages...)
	return once(&m.roots, path, func() (_ string, err error) {
		base := ""
		if len(packages) > 0 {
			if base, err = m.suiteRoot(ctx, suite); err != nil {
				return "", err
			}
		}
		if m.arch != runtime.GOARCH {
			return path, debroot.Extract(ctx, path, m.arch, suite, packages)
		}
		return path, debroot.Install(ctx, path, base, suite, packages)
	})
}

func (m *standinMaker) rootPath(suite string, packages ...string) string {
	key := strings.Join(append([]string{suite}, packages...), "+")
	return filepath.Join(m.dir, "roots", key+"-"+m.arch+".tar")
}

// writeSuite writes the plain root of a release of Debian, or what one with packages has beyond it.
func (m *standinMaker) writeSuite(ctx context.Context, w *layertar.Writer, suite string, packages ...string) error {
	if len(packages) == 0 {
		base, err := m.suiteRoot(ctx, suite)
		if err != nil {
			return err
		}
		return w.CopyDifference("", base)
	}
	return errors.Join(m.writeBeyond(ctx, w, suite, packages...), os.RemoveAll(m.rootPath(suite, packages...)))
}

// writeBeyond writes what a root with packages, which stays, has beyond the plain one.
func (m *standinMaker) writeBeyond(ctx context.Context, w *layertar.Writer, suite string, packages ...string) error {
	full, err := m.suiteRoot(ctx, suite, packages...)
	if err != nil {
		return err
	}
	base, err := m.suiteRoot(ctx, suite)
	if err != nil {
		return err
	}
	return w.CopyDifference(base, full)
}

// pythonPackages are those of the root that the libraries come from, too.
func pythonPackages() []string {
	return []string{"python3", "python3-pip", "python3-venv", "ca-certificates"}
}

func (m *standinMaker) writePython(ctx context.Context, w *layertar.Writer) error {
	if err := m.writeBeyond(ctx, w, bookworm, pythonPackages()...); err != nil {
		return err
	}
	for name, target := range map[string]string{
		"python": "/usr/bin/python3", "python3": "/usr/bin/python3", "pip": "/usr/bin/pip3", "pip3": "/usr/bin/pip3",
	} {
		if err := w.Symlink("usr/local/bin/"+name, target); err != nil {
			return err
		}
	}
	return nil
}

// writeGo copies this machine's Go toolchain to /usr/local/go.
func writeGo(ctx context.Context, w *layertar.Writer) error {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env GOROOT: %w", err)
	}
	if err := w.Mkdir("go/bin"); err != nil {
		return err
	}
	return w.CopyTree(strings.TrimSpace(string(out)), "usr/local/go", func(path string) bool {
		return slices.Contains([]string{"test", "api", "doc", "pkg/obj", ".git"}, path)
	})
}

// writeRust copies this machine's Rust toolchain to where rustup has it in Docker's image. For another architecture it is that
// with which Debian bookworm compiles its browsers.
func (m *standinMaker) writeRust(ctx context.Context, w *layertar.Writer) error {
	const place = "usr/local/rustup/toolchains/stable"
	if m.arch != runtime.GOARCH {
		for _, program := range []string{"cargo", "rustc", "rustdoc"} {
			// It looks for the rest of itself beside a link to it.
			if err := w.File(place+"/bin/"+program, 0o755, []byte("#!/bin/sh\nexec /usr/bin/"+program+" \"$@\"\n")); err != nil {
				return err
			}
		}
		return m.writeSuite(ctx, w, bookworm, "rustc-web", "cargo-web")
	}
	out, err := exec.CommandContext(ctx, "rustc", "--print", "sysroot").Output()
	if err != nil {
		return fmt.Errorf("rustc --print sysroot: %w; Rust is installed as https://rustup.rs says", err)
	}
	for _, program := range []string{"cargo", "rustc", "rustdoc"} {
		if err := w.Symlink("usr/local/cargo/bin/"+program, "/"+place+"/bin/"+program); err != nil {
			return err
		}
	}
	return w.CopyTree(strings.TrimSpace(string(out)), place, func(path string) bool { return path == "share" })
}

// libraries are what a program of Rust or C++ needs to run: the loader, the libraries of C, C++ and
// OpenSSL, and the links of the root that lead to them.
var libraries = regexp.MustCompile(`^(lib|lib64|usr/lib64/ld-linux\S*|usr/lib/(\w+-linux-gnu\w*/)?(ld-linux\S*|` +
	`lib(c|m|dl|rt|pthread|resolv|util|nss_dns|nss_files|gcc_s|stdc\+\+|ssl|crypto)(-[\d.]+)?\.so\S*))$`)

func (m *standinMaker) writeLibraries(ctx context.Context, w *layertar.Writer) error {
	root, err := m.debianRoot(ctx, pythonPackages()...) // which OpenSSL comes with
	if err != nil {
		return err
	}
	return w.CopyFiles(root, libraries.MatchString)
}

// npmInstall installs packages with this machine's npm into a new folder, and returns
// the folder that they are in. The caller removes the folder above.
func (m *standinMaker) npmInstall(ctx context.Context, packages ...string) (modules string, err error) {
	tmp, err := os.MkdirTemp(m.dir, "npm-")
	if err != nil {
		return "", err
	}
	args := []string{"install", "--prefix", tmp, "--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--force"} // also for another architecture
	cmd := exec.CommandContext(ctx, "npm", append(args, packages...)...)
	cmd.Dir = tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("npm install: %w; npm is installed with: apt-get install npm\n%s", err, tail(string(out), 10)), os.RemoveAll(tmp))
	}
	return filepath.Join(tmp, "node_modules"), nil
}

// npmArch is what npm calls the layers' architecture.
func (m *standinMaker) npmArch() (string, error) {
	arch, ok := map[string]string{"amd64": "x64", "arm64": "arm64"}[m.arch]
	if !ok {
		return "", fmt.Errorf("no runtime is published on npm for %s", m.arch)
	}
	return arch, nil
}

// writeBun installs Bun from npm, which has the program in a package of the platform.
func (m *standinMaker) writeBun(ctx context.Context, w *layertar.Writer) error {
	arch := map[string]string{"amd64": "x64", "arm64": "aarch64"}[m.arch]
	if err := m.writeProgram(ctx, w, "@oven/bun-linux-"+arch+"@1.4", "bin/bun", "usr/local/bin/bun"); err != nil {
		return err
	}
	return errors.Join(w.Symlink("usr/local/bin/bunx", "bun"), m.addUser(ctx, w, bookworm, "bun"))
}

// writeDeno installs Deno from npm.
func (m *standinMaker) writeDeno(ctx context.Context, w *layertar.Writer) error {
	arch, err := m.npmArch()
	if err != nil {
		return err
	}
	return m.writeProgram(ctx, w, "@deno/linux-"+arch+"-glibc@2.9.6", "deno", "usr/bin/deno")
}

// writeProgram puts one file of a package of npm's at a place.
func (m *standinMaker) writeProgram(ctx context.Context, w *layertar.Writer, pkg, file, place string) error {
	name := pkg[:strings.LastIndex(pkg, "@")]
	modules, err := m.npmInstall(ctx, pkg)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(filepath.Dir(modules)) }() // the cache folder may be deleted at any time
	binary, err := os.ReadFile(filepath.Join(modules, filepath.FromSlash(name), file))
	if err != nil {
		return err
	}
	return w.File(place, 0o755, binary)
}

// writeNode installs Node and npm with this machine's npm, adds the user that
// Docker's image has, and puts them under /usr/local.
func (m *standinMaker) writeNode(ctx context.Context, w *layertar.Writer) error {
	arch, err := m.npmArch()
	if err != nil {
		return err
	}
	node := "node-linux-" + arch
	modules, err := m.npmInstall(ctx, node+"@24", "npm@11")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(filepath.Dir(modules)) }() // the cache folder may be deleted at any time
	binary, err := os.ReadFile(filepath.Join(modules, node, "bin", "node"))
	if err != nil {
		return err
	}
	if err := w.File("usr/local/bin/node", 0o755, binary); err != nil {
		return err
	}
	if err := w.CopyTree(filepath.Join(modules, "npm"), "usr/local/lib/node_modules/npm", nil); err != nil {
		return err
	}
	for _, name := range []string{"npm", "npx"} {
		if err := w.Symlink("usr/local/bin/"+name, "../lib/node_modules/npm/bin/"+name+"-cli.js"); err != nil {
			return err
		}
	}
	return m.addUser(ctx, w, bookworm, "node")
}

// addUser adds the user 1000 to the users of a Debian root.
func (m *standinMaker) addUser(ctx context.Context, w *layertar.Writer, suite, user string) error {
	root, err := m.suiteRoot(ctx, suite)
	if err != nil {
		return err
	}
	for name, line := range map[string]string{
		"etc/passwd": user + ":x:1000:1000::/home/" + user + ":/bin/bash\n",
		"etc/group":  user + ":x:1000:\n",
	} {
		text, err := layertar.ReadFile(root, name)
		if err != nil {
			return err
		}
		if err := w.File(name, 0o644, append(text, line...)); err != nil {
			return err
		}
	}
	return w.Dir("home/"+user, 0o755, 1000)
}

// writeStatic writes a root without programs, for static binaries.
func writeStatic(w *layertar.Writer) error {
	for name, text := range map[string]string{
		"etc/passwd":        "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
		"etc/group":         "root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:65532:\n",
		"etc/nsswitch.conf": "hosts: files dns\n",
	} {
		if err := w.File(name, 0o644, []byte(text)); err != nil {
			return err
		}
	}
	return errors.Join(w.Dir("home/nonroot", 0o700, 65532), w.Dir("tmp", 0o777|fs.ModeSticky, 0))
}

// writeAlpine writes the commands of Alpine that Dockerfiles call.
func writeAlpine(w *layertar.Writer) error {
	for name, text := range map[string]string{"apk": apkScript, "addgroup": addgroupScript, "adduser": adduserScript} {
		if err := w.File("usr/local/sbin/"+name, 0o755, []byte(text)); err != nil {
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
