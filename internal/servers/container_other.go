//go:build !linux

package servers

import (
	"context"
	"errors"
	"net/http"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A Container is an image that runs outside any builder; there are none but on
// Linux.
type Container struct {
	URL   string
	Image *v1.ConfigFile
}

var errNoContainers = errors.New("containers need Linux")

// RunImage returns an error: containers need Linux.
func RunImage(context.Context, string, ContainerOptions) (*Container, error) {
	return nil, errNoContainers
}

// Run returns an error: containers need Linux.
func Run(context.Context, v1.Image, ContainerOptions) (*Container, error) {
	return nil, errNoContainers
}

// ContainerFor skips the test, or fails it: containers need Linux.
func ContainerFor(tb testing.TB, _ string, _ ContainerOptions) *Container {
	tb.Helper()
	Require(tb, "runc", errNoContainers)
	return nil
}

// Unpack returns an error: containers need Linux.
func Unpack(context.Context, v1.Image, string) error { return errNoContainers }

// Root returns nothing.
func (c *Container) Root() string { return "" }

// Client returns nil.
func (c *Container) Client() *http.Client { return nil }

// Await returns an error.
func (c *Container) Await(context.Context, string, int) error { return errNoContainers }

// Log returns nothing.
func (c *Container) Log() string { return "" }

// Signal returns an error.
func (c *Container) Signal(syscall.Signal) error { return errNoContainers }

// Done returns nil.
func (c *Container) Done() <-chan struct{} { return nil }

// Stop returns an error.
func (c *Container) Stop(context.Context) (Exit, error) { return Exit{}, errNoContainers }

// Wait returns an error.
func (c *Container) Wait(context.Context) (Exit, error) { return Exit{}, errNoContainers }

// Close does nothing.
func (c *Container) Close() error { return nil }
