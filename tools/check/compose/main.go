// Command compose reads a Compose file from standard input and reports what Compose would refuse: against its published
// schema, and by the loader that Docker Compose itself is made of.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

func main() {
	services, err := check(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "compose:", err)
		os.Exit(1)
	}
	fmt.Println("compose:", services, "well")
}

// check returns how many services there are.
func check(in io.Reader) (int, error) {
	raw, err := io.ReadAll(in)
	if err != nil {
		return 0, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return 0, err
	}
	project, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir: dir, ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: raw}}, Environment: types.Mapping{},
	}, func(o *loader.Options) { o.SetProjectName("project", true) })
	if err != nil {
		return 0, err
	}
	return len(project.Services), nil
}
