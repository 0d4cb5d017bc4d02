package registry_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"fnb/images"
	"fnb/registry"
)

// A push sends an image of the image store to a registry; here the store is
// still empty.
func ExampleClient_Push() {
	dir, err := os.MkdirTemp("", "fnb-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	images, err := images.Open(filepath.Join(dir, "images"))
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := registry.New(registry.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Push(context.Background(), images, "ghcr.io/acme/hello:0.1.0")
	fmt.Println(err)
	// Output: ghcr.io/acme/hello:0.1.0: not found
}
