package servers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

var buildkitdListens = regexp.MustCompile(`running server on ([^\s"]+)`)

// BuildkitdOptions say how buildkitd is started. The zero value is a daemon
// with empty state in a temporary folder, on a unix socket there.
type BuildkitdOptions struct {
	// Root is where the daemon keeps its state. Empty means a temporary folder
	// that Close removes.
	Root string
	// TCP makes the daemon listen on a loopback port in place of a unix socket.
	TCP bool
	// TLS, with TCP, makes the daemon ask for a client certificate of the same
	// authority.
	TLS *Certs
	// Mirrors maps a registry's name to the host that is asked in its place,
	// as [Bases] has it; mirrors are spoken to in plain HTTP.
	Mirrors map[string]string
	// Insecure are further registries to speak plain HTTP with. Loopback hosts
	// need not be named.
	Insecure []string
	// Platforms are what the worker says it can run, the first as its own; empty
	// means what the machine can.
	Platforms []string
	// Config is more text for the end of buildkitd.toml.
	Config string
}

// A Buildkitd is a running BuildKit daemon: an OCI worker with host network.
type Buildkitd struct {
	// Address is what a BuildKit client is given: "unix://…" or "tcp://…".
	Address string
	// Root is the folder of the daemon's state.
	Root string

	proc    *process
	temp    string
	runtime string
}

// StartBuildkitd starts buildkitd and returns when it accepts connections. It
// needs root, and runc or crun in PATH.
func StartBuildkitd(ctx context.Context, opts BuildkitdOptions) (_ *Buildkitd, err error) {
	oci, err := ociRuntime()
	if err != nil {
		return nil, err
	}
	bin, err := Tool(ctx, "buildkitd")
	if err != nil {
		return nil, err
	}
	b := &Buildkitd{Root: opts.Root, runtime: oci}
	if b.temp, err = os.MkdirTemp("", "fnb-buildkitd-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if b.Root == "" {
		b.Root = filepath.Join(b.temp, "root")
	}
	conf := filepath.Join(b.temp, "buildkitd.toml")
	if err := os.WriteFile(conf, []byte(buildkitdConfig(oci, opts)), 0o600); err != nil {
		return nil, err
	}
	args := []string{"--config", conf, "--root", b.Root, "--addr"}
	if opts.TCP {
		args = append(args, "tcp://127.0.0.1:0")
	} else {
		args = append(args, "unix://"+filepath.Join(b.temp, "buildkitd.sock"))
	}
	if opts.TLS != nil {
		args = append(args, "--tlscert", opts.TLS.ServerCert, "--tlskey", opts.TLS.ServerKey, "--tlscacert", opts.TLS.CA)
	}
	// The daemon outlives the call, not the program; Close stops it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), bin, args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+b.temp)
	if b.proc, err = startProcess("buildkitd", cmd); err != nil {
		return nil, err
	}
	m, err := b.proc.awaitLine(ctx, buildkitdListens, 60*time.Second)
	if err != nil {
		return nil, err
	}
	if b.Address = "unix://" + m[1]; opts.TCP {
		b.Address = "tcp://" + m[1]
	}
	return b, b.dial(ctx)
}

// ociRuntime finds the program that starts containers, and says what else is
// missing to have any.
func ociRuntime() (string, error) {
	if runtime.GOOS != "linux" {
		return "", errors.New("containers need Linux")
	}
	if os.Geteuid() != 0 {
		return "", errors.New("containers need root here")
	}
	for _, name := range []string{"runc", "crun"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("neither runc nor crun is in PATH; install one with: apt-get install runc")
}

// dial makes sure that the address can be connected to.
func (b *Buildkitd) dial(ctx context.Context) error {
	network, addr, _ := strings.Cut(b.Address, "://")
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, addr)
	if err != nil {
		return fmt.Errorf("connecting to buildkitd: %w", err)
	}
	return conn.Close()
}

// buildkitdConfig returns the text of buildkitd.toml.
func buildkitdConfig(oci string, opts BuildkitdOptions) string {
	var sb strings.Builder
	fmt.Fprintf(&sb, "[worker.oci]\nenabled = true\nnetworkMode = \"host\"\nbinary = %q\ngc = false\n", oci)
	if len(opts.Platforms) > 0 {
		fmt.Fprintf(&sb, "platforms = [\"%s\"]\n", strings.Join(opts.Platforms, `", "`))
	}
	sb.WriteString("[worker.containerd]\nenabled = false\n")
	insecure := slices.Clone(opts.Insecure)
	for _, host := range slices.Sorted(maps.Keys(opts.Mirrors)) {
		fmt.Fprintf(&sb, "[registry.%q]\nmirrors = [%q]\n", host, opts.Mirrors[host])
		insecure = append(insecure, opts.Mirrors[host])
	}
	slices.Sort(insecure)
	for _, host := range slices.Compact(insecure) {
		fmt.Fprintf(&sb, "[registry.%q]\nhttp = true\n", host)
	}
	return sb.String() + opts.Config
}

// Log returns what the daemon has printed.
func (b *Buildkitd) Log() string { return b.proc.log.String() }

// Pid is the daemon's process, for a test that lets it die in a solve.
func (b *Buildkitd) Pid() int { return b.proc.cmd.Process.Pid }

// Close stops the daemon and removes its temporary folder. Of one that was killed it
// ends the containers, too.
func (b *Buildkitd) Close() error {
	var errs []error
	if b.proc != nil {
		errs = append(errs, b.proc.stop(20*time.Second))
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		errs = append(errs, endLeft(ctx, b.runtime, b.Root, b.temp))
	}
	return errors.Join(append(errs, os.RemoveAll(b.temp))...)
}

// BuildkitdFor starts buildkitd for one test.
func BuildkitdFor(tb testing.TB, opts BuildkitdOptions) *Buildkitd {
	tb.Helper()
	b, err := StartBuildkitd(tb.Context(), opts)
	Require(tb, "buildkit", err)
	closeAtEnd(tb, b.Close)
	return b
}
