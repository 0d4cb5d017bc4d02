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
	root, err := Checkout()
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

// Checkout is the checkout: the nearest folder above the working folder
// that holds both go.mod and tools/go.mod.
func Checkout() (string, error) {
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
