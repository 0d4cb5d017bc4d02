package main

import (
	"log"
	"os"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"fnb/builder/managed"
)

// newBuilderServe is the managed builder in the foreground. Every flag is given
// by the fnb that starts it; by hand it needs none.
func newBuilderServe(g *globals) *cobra.Command {
	m := managed.Builder{}
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "run fnb's own builder in the foreground",
		Long:    "Serve runs the managed builder until it is interrupted or idle. fnb starts it by itself in the background; run it by hand to see its log, or under a service manager.",
		Example: "  fnb builder serve",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			logrus.SetOutput(os.Stderr)
			log.SetOutput(os.Stderr)
			own, cfg, err := g.ownBuilder()
			if err != nil {
				return err
			}
			for _, f := range []struct{ flag, own *string }{{&m.Root, &own.Root}, {&m.Socket, &own.Socket}, {&m.Identity, &own.Identity}} {
				if *f.flag == "" {
					*f.flag = *f.own
				}
			}
			return serveBuilder(cmd.Context(), m, cfg.Builder)
		},
	}
	f := cmd.Flags()
	f.StringVar(&m.Root, "root", "", "keep state in `DIR`")
	f.StringVar(&m.Socket, "socket", "", "listen on `PATH`")
	f.StringVar(&m.Identity, "identity", "", "what the fnb that starts it expects")
	f.BoolVar(&m.Rootless, "rootless", false, "run in the user namespace of rootlesskit")
	return cmd
}
