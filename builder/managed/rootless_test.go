package managed_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/builder/containers"
	"fnb/builder/managed"
	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// rootlessUser is the user whom root makes for the test of the rootless
// builder, where FNB_REQUIRE names "rootless", and removes after it.
const rootlessUser = "fnb-rootless-test"

// unprivileged returns whom the rootless builder runs as.
func unprivileged(t *testing.T) *user.User {
	t.Helper()
	for _, name := range []string{"rootlesskit", "newuidmap"} {
		if _, err := managed.LookPath(name); err != nil {
			servers.Require(t, "rootless", errors.New(name+" is not installed"))
		}
	}
	if os.Geteuid() != 0 {
		u, err := user.Current()
		servers.Require(t, "rootless", err)
		return u
	}
	if _, err := user.Lookup(rootlessUser); err != nil && servers.Required("rootless") {
		out, err := exec.CommandContext(t.Context(), "useradd", "--create-home", "--shell", "/bin/sh", rootlessUser).CombinedOutput()
		if err != nil {
			t.Fatalf("useradd: %v\n%s", err, out)
		}
		t.Cleanup(func() {
			if out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "userdel", "--force", "--remove", rootlessUser).CombinedOutput(); err != nil {
				t.Logf("userdel: %v\n%s", err, out)
			}
		})
	}
	u, err := user.Lookup(rootlessUser)
	servers.Require(t, "rootless", err)
	return u
}

// own gives a folder to the user.
func own(t *testing.T, path string, u *user.User) *syscall.Credential {
	t.Helper()
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, int(uid), int(gid)); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// copyProgram makes this test's program one that everybody can run.
func copyProgram(t *testing.T, to string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(dst, src)
	if err := errors.Join(err, dst.Chmod(0o755), dst.Close()); err != nil {
		t.Fatal(err)
	}
}

// Without root a builder runs through rootlesskit, runs steps, and makes the
// same image as with root.
func TestRootless(t *testing.T) {
	t.Parallel()
	u := unprivileged(t)
	dir, err := os.MkdirTemp("", "fnb-rootless-") //nolint:usetesting // others may not enter a test's own folder
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if os.Geteuid() != 0 { // what the steps made belongs to subordinate users
			_ = exec.CommandContext(context.WithoutCancel(t.Context()), "rootlesskit", "rm", "-rf", dir).Run()
		}
		buildertest.RemoveState(t, dir)
	})
	credential := own(t, dir, u)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "program")
	copyProgram(t, program)
	m := managed.Builder{Root: filepath.Join(dir, "root"), Socket: filepath.Join(dir, "run", "b.sock"), Identity: "rootless", Rootless: true}
	m = buildertest.Again(t, m, m.Identity, buildertest.Mirrors(t), "-rootless")
	m.Command[0] = program
	stop := func() {
		if err := m.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	for range 3 { // one starts as soon as the last has stopped
		stop()
		cmd := exec.CommandContext(t.Context(), program, append([]string{buildertest.StartCommand}, m.Command...)...)
		cmd.Dir = "/"
		cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + u.HomeDir, "USER=" + u.Username, "XDG_RUNTIME_DIR=/no/such"}
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s\n%s", err, out, fixture.Read(t, filepath.Join(m.Root, "builder.log")))
		}
	}
	c := buildertest.Connect(t, builder.Options{Address: m.Address()})
	info, err := c.Info(t.Context())
	if err != nil || info.Snapshotter == "" {
		t.Errorf("%+v %v", info, err)
	}
	seen := buildertest.RootFS(t, c, builder.Request{Name: "f", Context: fixture.Files("Dockerfile", buildertest.SmallBase(t)+"RUN id -u >/uid && cat /proc/self/uid_map >/map\n")})
	if uid, uids := fixture.Read(t, seen, "uid"), strings.Fields(fixture.Read(t, seen, "map")); uid != "0\n" || uids[1] == "0" {
		t.Errorf("the step ran as %s of %s", uid, uids)
	}
	four, six, _, abstract := buildertest.Listening(t)
	if got := buildertest.Reached(t, c, four.String(), six.String(), abstract); got != "" {
		t.Errorf("a step reached %s of the machine", got)
	}
	if got := routed(t, c); got != "from this machine\n" {
		t.Errorf("a container read %q by the way that leads out of it", got)
	}
	w := buildertest.NewWatchdog(t, "linux/amd64")
	if got, want := buildertest.DigestOf(t, c, buildertest.Everything(t), w.Watchdog), buildertest.DigestOf(t, buildertest.Stock(t), buildertest.Everything(t), w.Watchdog); got != want {
		t.Errorf("without root %s, with root %s", got, want)
	}
}

// routed is what a container reads from a server of this machine by the one way that leads out of it.
func routed(t *testing.T, c *builder.Client) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("from this machine\n")) // the test compares what arrives
			_ = conn.Close()
		}
	}()
	var out fixture.Buffer
	r, err := containers.Run(t.Context(), c, containers.Request{
		Name: "f", Tunnel: buildertest.BuiltWatchdog(t), Stdout: &out, Stderr: &out,
		Routes: []containers.Route{{Name: "db", Port: 5432, Open: func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
		}}},
		Build: &builder.Request{Name: "f", Context: fixture.Files("Dockerfile", buildertest.Debian+`CMD ["bash", "-c", "cat </dev/tcp/db/5432"]`+"\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	return out.String()
}
