// Command up starts a registry, the base images (stand-ins where the public
// registries cannot be reached) and, with -buildkitd, a BuildKit daemon that
// uses them, prints their addresses as shell assignments, and stays until it
// is interrupted. It is for trying things by hand:
//
//	go run ./internal/servers/up -buildkitd
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sort"
	"syscall"

	"fnb/internal/servers"
	"fnb/internal/servers/emulation"
	"fnb/internal/servers/engines"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	buildkitd := flag.Bool("buildkitd", false, "also start a BuildKit daemon")
	dir := flag.String("registry-dir", "", "keep what is pushed in this `folder` (default: a temporary one)")
	prepare := flag.Bool("prepare", false, "only make the stand-ins that are needed, and stop")
	layers := flag.Bool("layers", false, "only make the layers of the stand-ins, without a registry, and stop")
	always := flag.Bool("standins", false, "use stand-ins even where the public registries can be reached")
	flag.Parse()
	bases := servers.BasesOptions{Log: say, Always: *always, Layers: *layers}
	run := func() error { return up(ctx, *buildkitd, *dir, bases) }
	if *prepare || *layers {
		run = func() error { return prepareBases(ctx, bases) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "up:", err)
		os.Exit(1)
	}
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "up: "+format+"\n", args...) }

// prepareBases makes the stand-ins, so that tests need not, and unpacks the engines and the emulator that FNB_REQUIRE wants.
func prepareBases(ctx context.Context, opts servers.BasesOptions) error {
	if opts.Layers && servers.Required("engines") {
		if err := engines.Fetch(ctx); err != nil {
			return err
		}
	}
	all := []servers.BasesOptions{opts}
	if servers.Required("emulation") {
		if err := emulation.Fetch(ctx); err != nil {
			return err
		}
		opts.Emulated, opts.Only = []string{emulation.Architecture}, servers.TemplateBases()
		all = append(all, opts)
	}
	for _, opts := range all {
		bases, err := servers.StartBases(ctx, opts)
		if err != nil {
			return err
		}
		if err := bases.Close(); err != nil {
			return err
		}
	}
	return nil
}

func up(ctx context.Context, buildkitd bool, dir string, opts servers.BasesOptions) (err error) {
	reg, err := servers.StartRegistry(ctx, servers.RegistryOptions{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reg.Close()) }()
	bases, err := servers.StartBases(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bases.Close()) }()
	fmt.Printf("export REGISTRY=%s\n", reg.Host)
	hosts := make([]string, 0, len(bases.Mirrors))
	for host := range bases.Mirrors {
		hosts = append(hosts, host)
	}
	sort.Strings(hosts)
	for _, host := range hosts {
		fmt.Printf("# %s is asked at %s\n", host, bases.Mirrors[host])
	}
	if len(hosts) > 0 {
		fmt.Printf("export MIRROR=%s\n", bases.Mirrors[hosts[0]])
	}
	if buildkitd {
		b, err := servers.StartBuildkitd(ctx, servers.BuildkitdOptions{Mirrors: bases.Mirrors})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.Close()) }()
		fmt.Printf("export BUILDKIT_HOST=%s\n", b.Address)
	}
	say("ready; stop with Ctrl-C")
	<-ctx.Done()
	return nil
}
