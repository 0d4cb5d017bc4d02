package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// Tool returns the path of a program of the nested modules below tools:
// "registry", "buildkitd", "crane", "buildctl", "actionlint", "manifests", "compose", "actionscache",
// "versitygw" or "pause". It is bin/tools/NAME of the checkout, and is built there first when it
// is missing, which can take minutes.
func Tool(ctx context.Context, name string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	from, ok := map[string]struct{ module, pkg string }{
		"registry":     {"tools", "github.com/distribution/distribution/v3/cmd/registry"},
		"buildkitd":    {"tools", "github.com/moby/buildkit/cmd/buildkitd"},
		"buildctl":     {"tools", "github.com/moby/buildkit/cmd/buildctl"},
		"crane":        {"tools", "github.com/google/go-containerregistry/cmd/crane"},
		"actionlint":   {"tools/check", "github.com/rhysd/actionlint/cmd/actionlint"},
		"manifests":    {"tools/check", "./manifests"},
		"compose":      {"tools/check", "./compose"},
		"actionscache": {"tools/cloud", "./actionscache"},
		"versitygw":    {"tools/cloud", "github.com/versity/versitygw/cmd/versitygw"},
		"pause":        {".", "./internal/servers/cluster/pause"},
	}[name]
	if !ok {
		return "", fmt.Errorf("tool %q: no such tool", name)
	}
	path := filepath.Join(root, "bin", "tools", name)
	if executable(path) {
		return path, nil
	}
	unlock, err := lockFile(ctx, path+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if executable(path) {
		return path, nil
	}
	return path, goBuild(ctx, filepath.Join(root, filepath.FromSlash(from.module)), path, from.pkg)
}

// Axe returns axe-core, the script that checks whether everybody can use a page. "make axe" fetches it.
func Axe() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	script, err := os.ReadFile(filepath.Join(root, "tools", "axe", "node_modules", "axe-core", "axe.min.js"))
	return string(script), err
}

// CloudFormation returns the path of cfn-lint, which checks templates for AWS. "make cfn" fetches it.
func CloudFormation() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "tools", "cfn", "venv", "bin", "cfn-lint")
	if !executable(path) {
		return "", fmt.Errorf("%s is missing: make cfn", path)
	}
	return path, nil
}

// BillsOfMaterials returns a Python that has the validators of SBOMs, and the program that uses them. "make sbom"
// fetches them.
func BillsOfMaterials() (python, program string, err error) {
	root, err := moduleRoot()
	if err != nil {
		return "", "", err
	}
	dir := filepath.Join(root, "tools", "sbom")
	python = filepath.Join(dir, "venv", "bin", "python")
	if !executable(python) {
		return "", "", fmt.Errorf("%s is missing: make sbom", python)
	}
	return python, filepath.Join(dir, "check.py"), nil
}

// Sigstore returns Node, and the program with which it reads a sigstore bundle by Sigstore's own library. "make sigstore"
// fetches that.
func Sigstore() (node, program string, err error) {
	root, err := moduleRoot()
	if err != nil {
		return "", "", err
	}
	dir := filepath.Join(root, "tools", "sign")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "@sigstore", "verify", "package.json")); err != nil {
		return "", "", fmt.Errorf("%w: make sigstore", err)
	}
	node, err = exec.LookPath("node")
	return node, filepath.Join(dir, "verify.mjs"), err
}

// Signing returns the folder that has cosign, oras and osv-scanner. "make sign" fills it.
func Signing() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "bin", "tools")
	for _, program := range []string{"cosign", "oras", "osv-scanner"} {
		if !executable(filepath.Join(dir, program)) {
			return "", fmt.Errorf("%s is missing: make sign", filepath.Join(dir, program))
		}
	}
	return dir, nil
}

// Kubernetes returns the folder that has the programs of a Kubernetes in bin, and plugins for networks in cni.
// "make kubernetes" fills it.
func Kubernetes() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "bin", "tools", "kubernetes")
	if !executable(filepath.Join(dir, "bin", "kubelet")) {
		return "", fmt.Errorf("%s is missing: make kubernetes", dir)
	}
	return dir, nil
}

// moduleRoot finds the checkout: the nearest folder above the working folder
// that holds both go.mod and tools/go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, errMain := os.Stat(filepath.Join(dir, "go.mod"))
		_, errTools := os.Stat(filepath.Join(dir, "tools", "go.mod"))
		if errMain == nil && errTools == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("finding the checkout above the working folder: %w", os.ErrNotExist)
		}
		dir = parent
	}
}

// goBuild builds a static program without debug information, and puts it at
// path in one step.
func goBuild(ctx context.Context, dir, path, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path+".new", pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return os.Rename(path+".new", path)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// lockFile waits for the exclusive lock of a file, which is made when missing,
// and returns what gives the lock back.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	lock := flock.New(path)
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	// The lock ends with the file descriptor in any case.
	return func() { _ = lock.Unlock() }, nil
}
