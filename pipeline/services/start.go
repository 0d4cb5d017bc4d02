package services

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"fnb/builder"
	"fnb/builder/containers"
	"fnb/internal/disk"
	"fnb/internal/plain"
	"fnb/packaging"
)

// launch starts a container of the service.
func (s *service) launch(ctx context.Context, seen *sight) (*containers.Container, error) {
	p := s.set.p
	image, err := image(p, s.Service)
	if err != nil {
		return nil, err
	}
	env, err := p.Stack.ServiceEnvironment(s.Service, p.Reach)
	if err != nil {
		return nil, failure(p, s.Service, "", "setting its environment", err)
	}
	watchdog, err := packaging.Watchdog()
	if err != nil {
		return nil, err
	}
	req := containers.Request{
		Name: s.Name, Image: image, Env: env, Port: s.Port,
		Tunnel:  builder.Watchdog{Layout: watchdog.FS, Manifests: watchdog.Manifests},
		Access:  p.Access(),
		Service: containers.Service{Command: s.Command},
		Stdout:  seen.over(s.log()), Stderr: seen.over(s.log()),
	}
	if s.Keep {
		req.Service.Keep = func(volumes []string) (map[string]string, error) { return s.keep(ctx, volumes) }
	}
	c, err := containers.Run(ctx, p.Machine, req)
	if err != nil && ctx.Err() == nil {
		err = failure(p, s.Service, "image", "starting it", err)
	}
	return c, err
}

func (s *service) log() io.Writer {
	if s.set.o.Logs == nil {
		return nil
	}
	return s.set.o.Logs(s.Name)
}

// hold keeps other runs on this machine away from data that is kept: two servers on one
// folder of data destroy it.
func (s *service) hold() (release func(), err error) {
	p := s.set.p
	if !s.Keep || p.CacheDir == "" {
		return func() {}, nil
	}
	dir := filepath.Join(p.CacheDir, "services")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("keeping the data of services: %w", err)
	}
	unlock, ok, err := disk.TryLock(filepath.Join(dir, s.keptAs("")))
	if err == nil && !ok {
		err = errors.New("another run of fnb has its data; end that one, or leave out keep")
	}
	if err != nil {
		return nil, failure(p, s.Service, "keep", "starting it", err)
	}
	return unlock, nil
}

// keep returns what kept does, once its data was dropped if that is wanted.
func (s *service) keep(ctx context.Context, volumes []string) (map[string]string, error) {
	kept, err := s.kept(volumes)
	if err != nil || !s.fresh {
		return kept, err
	}
	var all int64
	for folder, name := range kept {
		freed, err := s.set.p.Machine.DropMount(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("dropping its data of %s: %w", folder, err)
		}
		all += freed
	}
	s.fresh = false
	s.set.o.Say(s.Name, "dropped its data, "+plain.Size(all), true)
	return kept, nil
}

// kept are the folders that are kept, and what the builder calls what it keeps them in.
func (s *service) kept(folders []string) (map[string]string, error) {
	if s.Data != "" {
		folders = []string{s.Data}
	}
	if len(folders) == 0 {
		return nil, errors.New("keep is set, and the image does not say where its data is: name the folder with data")
	}
	kept := map[string]string{}
	for _, folder := range folders {
		kept[folder] = "fnb-service-" + s.keptAs(folder)
	}
	return kept, nil
}

// keptAs names the data of a service in a folder. On a builder that several machines use,
// one does not find what another has kept.
func (s *service) keptAs(folder string) string {
	host, _ := os.Hostname() // without it there is one machine less to tell apart
	stack := s.set.p.Stack.File
	if real, err := filepath.EvalSymlinks(stack); err == nil {
		stack = real
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{host, stack, s.Name, folder}, "\x00")))
	return hex.EncodeToString(sum[:12])
}

// stopGrace is how long a service that keeps its data has to put it in order.
const stopGrace = 10 * time.Second

// stop ends a container. It needs no ending in order where nobody will see its data again.
func (s *service) stop(c *containers.Container) {
	defer c.Close()
	if !s.Keep || c.Signal(stopSignal(c.Config().StopSignal)) != nil {
		return
	}
	select {
	case <-c.Gone():
	case <-time.After(stopGrace):
	}
}

// stopSignal is the signal that an image wants to be ended by.
func stopSignal(name string) syscall.Signal {
	signals := map[string]syscall.Signal{
		"INT": syscall.SIGINT, "2": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "3": syscall.SIGQUIT,
		"HUP": syscall.SIGHUP, "1": syscall.SIGHUP, "KILL": syscall.SIGKILL, "9": syscall.SIGKILL,
	}
	if sig, ok := signals[strings.TrimPrefix(strings.ToUpper(name), "SIG")]; ok {
		return sig
	}
	return syscall.SIGTERM
}
