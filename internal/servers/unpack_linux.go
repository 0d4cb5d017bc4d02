package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Unpack applies an image's layers, from the lowest to the topmost, to a new
// folder.
func Unpack(ctx context.Context, img v1.Image, dir string) error {
	bin, err := unpacker(ctx)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		if err := unpackLayer(ctx, bin, layer, dir); err != nil {
			return err
		}
	}
	return nil
}

func unpackLayer(ctx context.Context, bin string, layer v1.Layer, dir string) (err error) {
	stream, err := layer.Compressed()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	cmd := exec.CommandContext(ctx, bin, dir)
	cmd.Stdin = stream
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// unpacker returns the path of the program in the folder unpack, which is built
// when it is missing or older than its source.
func unpacker(ctx context.Context) (string, error) {
	root, err := Checkout()
	if err != nil {
		return "", err
	}
	source, err := os.Stat(filepath.Join(root, "internal", "servers", "unpack", "main.go"))
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "tools", "unpack")
	unlock, err := lockFile(ctx, path+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if built, err := os.Stat(path); err == nil && built.ModTime().After(source.ModTime()) {
		return path, nil
	}
	return path, goBuild(ctx, root, path, "./internal/servers/unpack")
}
