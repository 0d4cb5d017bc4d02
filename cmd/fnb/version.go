package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set when fnb is linked; "" is taken from the module.
var version string //nolint:gochecknoglobals // the linker sets it

// fnbVersion is this fnb's version.
func fnbVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

// buildkitVersion is the version of the BuildKit module that is linked in.
func buildkitVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == "github.com/moby/buildkit" {
			return m.Version
		}
	}
	return ""
}

func newVersion(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "print the version of fnb",
		Long:    "Version prints the version of fnb, of the BuildKit it was made with, and whether it carries a builder.",
		Example: "  # what a bug report should say\n  fnb version --json",
		Args:    exactly(0),
		RunE: func(*cobra.Command, []string) error {
			if !g.json {
				_, err := fmt.Fprintln(g.out, "fnb "+fnbVersion())
				return err
			}
			return g.printJSON(map[string]any{
				"version": fnbVersion(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
				"buildkit": buildkitVersion(), "embedded_builder": embedded,
			})
		},
	}
}
