package servers

import (
	"net/http"
	"time"
)

// ContainerOptions say how an image is run. The zero value runs it as its
// configuration says, in a network of its own.
type ContainerOptions struct {
	// Env is added to the image's environment, as NAME=value.
	Env []string
	// Cmd replaces the image's entrypoint and command.
	Cmd []string
	// User replaces the image's user.
	User string
	// ReadOnly makes the container's root read-only; /tmp stays writable.
	ReadOnly bool
	// Platform is the platform to take from a multi-platform image; empty means
	// this machine's.
	Platform string
	// Port is where the program in the container listens; zero means 8080.
	Port int
	// Root is a folder that [Unpack] filled with the image before; the container
	// is then ReadOnly, so that several can share it. Empty means a copy of its own.
	Root string
	// Transport pulls the image; nil means the ordinary one.
	Transport http.RoundTripper
}

// An Exit says how a container ended.
type Exit struct {
	// Code is the exit code of the container's first process.
	Code int
	// After is how long it went on after it was asked to stop.
	After time.Duration
}
