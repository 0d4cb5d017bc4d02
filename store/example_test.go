package store_test

import (
	"context"
	"fmt"
	"os"

	"fnb/store"
)

// Resolve finds an official template without the network.
func ExampleFinder_Resolve() {
	dir, err := os.MkdirTemp("", "fnb-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := store.New(store.Options{CacheDir: dir, Offline: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	tmpl, pin, _, err := s.Resolve(context.Background(), "go@^1", store.Scope{Root: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(tmpl.Name, "from", pin.Store)
	// Output: go from official
}
