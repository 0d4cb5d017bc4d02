// Package machine makes the root file systems of virtual machines of images: [Check] says whether there can be one, [Write]
// writes it.
package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"fnb/images/rootfs"
	"fnb/packaging"
	"fnb/schema"
	"fnb/schema/words"
)

// A NoWatchdogError says that an image has no watchdog, without which a virtual machine has nothing that answers.
type NoWatchdogError struct{}

func (e *NoWatchdogError) Error() string {
	return "the image has no watchdog, so that nothing in the machine would start the function and answer for it"
}

// Check refuses what no machine is made of: an image with that watchdog, for those platforms.
func Check(watchdog string, platforms schema.Platforms) error {
	if watchdog == words.WatchdogNone {
		return &NoWatchdogError{}
	}
	var errs []error
	for _, p := range platforms {
		_, err := packaging.Init(p)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Write makes a root file system of the image in a file for docker load, into an empty file.
func Write(ctx context.Context, image, to *os.File) error {
	img, err := tarball.Image(func() (io.ReadCloser, error) { return os.Open(image.Name()) }, nil)
	if err != nil {
		return fmt.Errorf("reading the image: %w", err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return fmt.Errorf("reading the image: %w", err)
	}
	init, err := packaging.Init(schema.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant})
	if err != nil {
		return err
	}
	return rootfs.Write(ctx, to, img, init)
}
