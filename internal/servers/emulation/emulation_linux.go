package emulation

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fnb/internal/servers"
	"fnb/internal/servers/debian"
)

// Architecture is the one, in Go's words, whose programs run in rooms beside those of this machine.
const Architecture = "arm64"

//go:embed room.sh
var room string

// fetch unpacks QEMU's programs, and keeps the one that is used.
const fetch = `
fetch() { apt-get download qemu-user-static; }
fetch || { apt-get update -q && fetch; }
dpkg-deb -x qemu-user-static_*.deb all
mkdir -p root/usr/bin root/usr/lib/binfmt.d
mv all/usr/bin/qemu-aarch64-static root/usr/bin/
mv all/usr/lib/binfmt.d/qemu-aarch64.conf root/usr/lib/binfmt.d/
rm -rf all *.deb
chmod 755 root
`

// Fetch returns why programs of other platforms cannot be run here. If FNB_REQUIRE wants emulation, it unpacks QEMU first.
func Fetch(ctx context.Context) error {
	_, err := programs(ctx)
	return err
}

// programs is the folder of the unpacked package. It is fetched once, and only if FNB_REQUIRE wants emulation, as "make
// emulation" does.
func programs(ctx context.Context) (string, error) {
	if runtime.GOARCH != "amd64" || os.Geteuid() != 0 {
		return "", errors.New("programs of other platforms need root, and are emulated on amd64")
	}
	return debian.Unpack(ctx, "emulation", "1", fetch)
}

// A Room is where programs of another platform run. It ends with the program that started it.
type Room struct {
	dir, version string
	first        *exec.Cmd
	stay         io.Closer // the standard input of the first process
}

// Start makes a room.
func Start(ctx context.Context) (_ *Room, err error) {
	root, err := programs(ctx)
	if err != nil {
		return nil, err
	}
	r := &Room{}
	if r.dir, err = os.MkdirTemp("", "fnb-emulation-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("making a room for emulation: %w", err), r.Close())
		}
	}()
	qemu := filepath.Join(root, "usr/bin/qemu-aarch64-static")
	out, err := exec.CommandContext(ctx, qemu, "--version").Output()
	if f := strings.Fields(string(out)); err != nil || len(f) < 3 { //nolint:mnd // qemu-aarch64 version N (…)
		return r, fmt.Errorf("QEMU says %q: %w", out, err)
	} else {
		r.version = f[2]
	}
	register, err := registration(filepath.Join(root, "usr/lib/binfmt.d/qemu-aarch64.conf"), qemu)
	if err != nil {
		return r, err
	}
	for name, text := range map[string]string{"register": register, "room.sh": room} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
			return r, err
		}
	}
	return r, r.enter()
}

// registration is what the kernel is told (Documentation/admin-guide/binfmt-misc): Debian's line for a kind of program, with the
// interpreter where it is. It is opened at once (F), so that it is there in containers too, and has the program's rights (C).
func registration(file, interpreter string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	fields := strings.Split(strings.TrimSpace(string(raw)), ":")
	if len(fields) != 8 { //nolint:mnd // before the first : is nothing
		return "", fmt.Errorf("%s has %q", file, raw)
	}
	fields[6], fields[7] = interpreter, "OCF"
	return strings.Join(fields, ":"), nil
}

// enter starts the first process. All ids are what they are outside, so that folders can be used from both sides.
func (r *Room) enter() error {
	const all = 1<<32 - 2 // but the last, which is none
	ids := []syscall.SysProcIDMap{{Size: all}}
	r.first = exec.CommandContext(context.Background(), "bash", filepath.Join(r.dir, "room.sh"), filepath.Join(r.dir, "register"))
	r.first.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true, Setpgid: true,
	}
	var complaint bytes.Buffer
	r.first.Stderr = &complaint
	r.first.WaitDelay = 10 * time.Second
	said, err := r.first.StdoutPipe()
	if err != nil {
		return err
	}
	if r.stay, err = r.first.StdinPipe(); err != nil {
		return err
	}
	if err := r.first.Start(); err != nil {
		return err
	}
	if !bufio.NewScanner(said).Scan() {
		return errors.New(strings.TrimSpace(complaint.String()))
	}
	return nil
}

// Version is that of QEMU, and of the kernel without what its builder calls it.
func (r *Room) Version() string {
	raw, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if parts := strings.SplitN(string(raw), ".", 3); err == nil && len(parts) > 2 { //nolint:mnd // major and minor
		return r.version + ", Linux " + parts[0] + "." + parts[1]
	}
	return r.version
}

// Command runs a program in the room, in the folder that the command is given.
func (r *Room) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append(r.into(), append([]string{"--", program}, args...)...)...)
}

func (r *Room) into() []string {
	return []string{"--target", strconv.Itoa(r.first.Process.Pid), "--user", "--mount", "--pid"}
}

// Client makes a folder for PATH in which a program runs in the room.
func (r *Room) Client(program string) (dir string, err error) {
	dir = filepath.Join(r.dir, "client")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	text := fmt.Sprintf("#!/bin/sh\nexec nsenter %s --wdns=\"$PWD\" -- '%s' \"$@\"\n", strings.Join(r.into(), " "), program)
	return dir, os.WriteFile(filepath.Join(dir, filepath.Base(program)), []byte(text), 0o755) //nolint:gosec // a program
}

// Close ends whatever runs in the room.
func (r *Room) Close() error {
	if r.first != nil && r.first.Process != nil {
		_ = r.first.Process.Kill() // the kernel ends all others with it
		_ = r.first.Wait()         // with the signal
	}
	return os.RemoveAll(r.dir)
}

// For makes a room for one test.
func For(tb testing.TB) *Room {
	tb.Helper()
	r, err := Start(tb.Context())
	servers.Require(tb, "emulation", err)
	tb.Cleanup(func() {
		if err := r.Close(); err != nil {
			tb.Error(err)
		}
	})
	return r
}
