package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"fnb/internal/servers"
	"fnb/internal/servers/engines"
)

// hasEngines is the condition "engines". Engines that are required and cannot be had are an error.
func hasEngines() (bool, error) {
	err := engines.Fetch(context.Background())
	if err != nil && servers.Required("engines") {
		return false, err
	}
	return err == nil, nil
}

// A containerEngine is what scripts do with any engine.
type containerEngine interface {
	Client() (string, error)
	Buildkitd(ctx context.Context, name string, mirrors map[string]string) error
	Close() error
}

// cmdEngine has a script use a container engine of its own, whose client is then in PATH.
//
//	engine docker           starts Debian's Docker Engine; $DOCKER is its address as a builder, $DOCKER_SOCKET its socket
//	engine docker today     starts today's, in the same way
//	engine version          prints the version of the Docker Engine
//	engine podman           makes podman with images of its own
//	engine builder NAME     starts buildkitd in a container of the engine that the script began last
//	engine serve            has podman answer as a Docker Engine at $PODMAN_SOCKET
//	engine kill             ends the Docker Engine at once, but not its containers
func (r *rig) cmdEngine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: engine COMMAND …")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	begin := func(e containerEngine) {
		r.engines.Store(ts.Getenv("WORK"), e)
		ts.Defer(func() { ts.Check(e.Close()) })
		dir, err := e.Client()
		ts.Check(err)
		ts.Setenv("PATH", r.bin+string(os.PathListSeparator)+dir+string(os.PathListSeparator)+ts.Getenv("PATH"))
	}
	engine, _ := r.engines.Load(ts.Getenv("WORK"))
	docker, _ := engine.(*engines.Docker)
	podman, _ := engine.(*engines.Podman)
	switch command := args[0]; {
	case command == "docker":
		d, err := engines.StartDocker(ctx, r.dockerOptions(len(args) == 2 && args[1] == "today"))
		ts.Check(err)
		begin(d)
		ts.Setenv("DOCKER", d.Address())
		ts.Setenv("DOCKER_SOCKET", d.Socket)
	case command == "podman":
		p, err := engines.StartPodman(ctx)
		ts.Check(err)
		begin(p)
	case command == "builder" && len(args) == 2 && engine != nil:
		ts.Check(engine.(containerEngine).Buildkitd(ctx, args[1], r.mirrors))
	case command == "serve" && podman != nil:
		socket, err := podman.Serve(ctx)
		ts.Check(err)
		ts.Setenv("PODMAN_SOCKET", socket)
	case command == "version" && docker != nil:
		_, err := fmt.Fprintln(ts.Stdout(), docker.Version)
		ts.Check(err)
	case command == "kill" && docker != nil:
		ts.Check(docker.Kill())
	default:
		ts.Fatalf("engine %s: no such command, or no such engine", command)
	}
}

// dockerOptions have an engine reach the registries of the tests.
func (r *rig) dockerOptions(today bool) engines.DockerOptions {
	opts := engines.DockerOptions{Today: today, Hub: r.mirrors["docker.io"], Reach: []string{r.registry.Host}}
	for _, mirror := range r.mirrors {
		if !slices.Contains(opts.Reach, mirror) {
			opts.Reach = append(opts.Reach, mirror)
		}
	}
	return opts
}
