// Package debroot makes root file systems of Debian for base images of tests, as tars: [Install] for this machine's architecture,
// [Extract] for one whose programs do not run here.
package debroot

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Install makes a root as a tar, if it is not there: the plain one of a release, or what becomes of that, base, with packages.
func Install(ctx context.Context, path, base, suite string, packages []string) error {
	args := []string{"--format=tar"}
	if len(packages) == 0 {
		args = append(args, "--variant=minbase")
	} else {
		args = append(args, "--variant=custom", "--include="+strings.Join(packages, ","), `--setup-hook=tar -C "$1" --exclude='./dev/*' -xpf "$FNB_BASE"`)
	}
	return write(ctx, path, []string{"FNB_BASE=" + base}, append(args, suite))
}

// Extract makes a root of another architecture as a tar, if it is not there: with the packages that Debian calls essential, apt and
// others, which are taken apart and not installed, since their programs do not run here.
func Extract(ctx context.Context, path, arch, suite string, packages []string) error {
	return write(ctx, path, nil, []string{
		"--format=tar", "--variant=extract", "--architectures=" + arch, "--skip=check/qemu", "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
		"--include=?essential", "--include=" + strings.Join(append([]string{"apt"}, packages...), ","), "--extract-hook=" + settled, suite,
	})
}

// settled does in a root what packages would do there when they are installed, as far as anybody misses it.
const settled = `cd "$1"
cp usr/share/base-passwd/passwd.master etc/passwd
cp usr/share/base-passwd/group.master etc/group
[ -e etc/nsswitch.conf ] || cp usr/share/base-files/nsswitch.conf etc/
ln -sf mawk usr/bin/awk
[ ! -e usr/bin/gcc ] || ln -sf gcc usr/bin/cc
for program in usr/lib/jvm/*/bin/*; do [ ! -e "$program" ] || ln -sf "/$program" usr/bin/; done
`

// write has mmdebstrap write a file that is not there.
func write(ctx context.Context, path string, env, args []string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a cache that anybody may read
		return err
	}
	if err := Run(ctx, env, append(args, path+".new")...); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Run runs mmdebstrap. No mirror is named: it finds its own.
func Run(ctx context.Context, env []string, args ...string) error {
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return fmt.Errorf("%w; install it with: apt-get install mmdebstrap", err)
	}
	cmd := exec.CommandContext(ctx, "mmdebstrap", args...)
	cmd.Env = append(append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mmdebstrap: %w\n%s", err, out)
	}
	return nil
}
