package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"fnb/builder"
	"fnb/internal/plain"
	"fnb/schema"
)

func newBuilder(g *globals) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "builder",
		Short: "look after the builder",
		Long:  "Builder shows, starts and stops what makes the images. Without --builder, FNB_BUILDER or BUILDKIT_HOST that is fnb's own, which is started when it is needed and ends when it is idle.",
	})
	cmd.AddCommand(newBuilderStatus(g), newBuilderStart(g), newBuilderStop(g), newBuilderPrune(g), newBuilderServe())
	return cmd
}

// A builderStatus is what fnb builder status prints.
type builderStatus struct {
	builder.Info
	Managed bool   `json:"managed"`
	Running bool   `json:"running"`
	Busy    bool   `json:"busy,omitempty"`
	PID     int    `json:"pid,omitempty"`
	Log     string `json:"log,omitempty"`
	Root    string `json:"root,omitempty"`
	Bytes   *int64 `json:"cache_bytes,omitempty"` // nil where it does not run
	Error   string `json:"error,omitempty"`

	Fleet []builderStatus `json:"fleet,omitempty"` // where several were named
}

func newBuilderStatus(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "show the builder that fnb uses",
		Long:    "Status prints the builder's address, version, platforms, snapshotter and the size of its cache. A managed builder that does not run is not started by it.",
		Example: "  fnb builder status",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := g.builderStatus(cmd.Context())
			if err != nil {
				return err
			}
			if g.json {
				return g.printJSON(s)
			}
			return g.printStatus(s)
		},
	}
}

func (g *globals) builderStatus(ctx context.Context) (*builderStatus, error) {
	cfg, err := readConfig()
	if err != nil {
		return nil, err
	}
	if nodes, _, err := g.nodes(cfg); err != nil {
		return nil, err
	} else if isFleet(nodes) {
		return g.fleetStatus(ctx, nodes)
	}
	s := &builderStatus{}
	if address, _ := g.builderAddress(cfg); address == "" && builder.Embedded {
		m, err := managedBuilder(cfg)
		if err != nil {
			return nil, err
		}
		st, err := m.State()
		if err != nil {
			return nil, err
		}
		s.Managed, s.Running, s.Busy, s.Log, s.Root, s.Address = true, st.Running, st.Busy, st.Log, m.Root, m.Address()
		if !st.Running {
			return s, nil
		}
		s.PID = st.PID
		g.builder = m.Address()
	}
	c, err := g.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }() // nothing is asked of it any more
	s.Running = true
	if s.Info, err = c.Info(ctx); err != nil {
		return nil, err
	}
	bytes, err := c.DiskUsage(ctx)
	s.Bytes = &bytes
	return s, err
}

func (g *globals) printStatus(s *builderStatus) error {
	for i, one := range s.Fleet {
		if i > 0 {
			fmt.Fprintln(g.out)
		}
		if err := g.printStatus(&one); err != nil {
			return err
		}
	}
	if len(s.Fleet) > 0 {
		return nil
	}
	tw := tabwriter.NewWriter(g.out, 0, 8, 2, ' ', 0)
	state := "not running; it starts when it is needed"
	if s.Running {
		state = "running"
	}
	if s.Error != "" {
		state = plain.Line(s.Error)
	}
	if s.PID != 0 {
		state += fmt.Sprintf(" (process %d)", s.PID)
	}
	cache := ""
	if s.Bytes != nil {
		cache = size(*s.Bytes)
	}
	kind := "another BuildKit"
	if s.Managed {
		kind = "fnb's own"
	}
	for _, row := range [][2]string{
		{"Builder", kind},
		{"State", state},
		{"Address", s.Address},
		{"BuildKit", s.Version},
		{"Platforms", strings.Join(s.Platforms, ", ")},
		{"Snapshotter", s.Snapshotter},
		{"Network", stepsReach(s.Network)},
		{"Cache", cache},
		{"Folder", s.Root},
		{"Log", s.Log},
	} {
		if row[1] != "" {
			fmt.Fprintf(tw, "%s\t%s\n", row[0], row[1])
		}
	}
	return tw.Flush()
}

// stepsReach says what RUN steps of a builder reach; "" where that is not known.
func stepsReach(network string) string {
	switch network {
	case schema.NetworkOwn:
		return "RUN steps reach the internet, not the builder's machine"
	case schema.NetworkHost:
		return "RUN steps reach what the builder's machine does, its loopback included"
	case "cni":
		return "RUN steps have a network of their own"
	}
	return ""
}

// size writes bytes with a decimal unit.
func size(n int64) string {
	const units = "kMGT"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1000, 0
	for f >= 1000 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	return fmt.Sprintf("%.1f %cB", f, units[i])
}

// ownBuilder is this user's managed builder, with fnb's settings.
func ownBuilder() (builder.Managed, schema.Config, error) {
	cfg, err := readConfig()
	if err != nil {
		return builder.Managed{}, cfg, err
	}
	m, err := managedBuilder(cfg)
	return m, cfg, err
}

func newBuilderStart(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "start",
		Short:   "start fnb's own builder",
		Long:    "Start starts the managed builder, which any build would do, and prints its address.",
		Example: "  # let buildctl use it\n  BUILDKIT_HOST=$(fnb builder start) buildctl du",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, _, err := ownBuilder()
			if err != nil {
				return err
			}
			address, err := m.Start(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(g.out, address)
			return err
		},
	}
}

func newBuilderStop(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "stop",
		Short:   "stop fnb's own builder",
		Long:    "Stop ends the managed builder. Builds under way fail; its cache stays. One that does not run is no error.",
		Example: "  fnb builder stop",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, cfg, err := ownBuilder()
			if err != nil {
				return err
			}
			if address, by := g.builderAddress(cfg); address != "" && cmd.Flags().Changed("builder") {
				return usagef(cmd.CommandPath(), "%s, which %s names, is not fnb's own builder: only that can be stopped", address, by)
			}
			return m.Stop(cmd.Context())
		},
	}
}

func newBuilderPrune(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "prune",
		Short:   "drop the builder's cache",
		Long:    "Prune drops everything from the builder's cache that no build is using, and prints how much that was. The next builds are slower.",
		Example: "  fnb builder prune",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			freed, err := g.prune(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(g.out, size(freed))
			return err
		},
	}
}

// prune drops the cache of the builder, or of each one of a fleet.
func (g *globals) prune(ctx context.Context) (int64, error) {
	cfg, err := readConfig()
	if err != nil {
		return 0, err
	}
	nodes, _, err := g.nodes(cfg)
	if err != nil {
		return 0, err
	}
	if isFleet(nodes) {
		return pruneFleet(ctx, nodes)
	}
	c, err := g.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }() // nothing is asked of it any more
	return c.Prune(ctx, 0)
}

// newBuilderServe is the managed builder in the foreground. Every flag is given
// by the fnb that starts it; by hand it needs none.
func newBuilderServe() *cobra.Command {
	m := builder.Managed{}
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "run fnb's own builder in the foreground",
		Long:    "Serve runs the managed builder until it is interrupted or idle. fnb starts it by itself in the background; run it by hand to see its log, or under a service manager.",
		Example: "  fnb builder serve",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			logrus.SetOutput(os.Stderr)
			log.SetOutput(os.Stderr)
			own, cfg, err := ownBuilder()
			if err != nil {
				return err
			}
			for _, f := range []struct{ flag, own *string }{{&m.Root, &own.Root}, {&m.Socket, &own.Socket}, {&m.Identity, &own.Identity}} {
				if *f.flag == "" {
					*f.flag = *f.own
				}
			}
			return builder.Serve(cmd.Context(), m, builder.ServeOptions{
				Idle: cfg.Builder.Idle, CacheBytes: cfg.Builder.Cache, Registries: cfg.Builder.Registries,
				Version: buildkitVersion(), Network: cfg.Builder.Network, Reach: cfg.Builder.Reach,
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&m.Root, "root", "", "keep state in `DIR`")
	f.StringVar(&m.Socket, "socket", "", "listen on `PATH`")
	f.StringVar(&m.Identity, "identity", "", "what the fnb that starts it expects")
	f.BoolVar(&m.Rootless, "rootless", false, "run in the user namespace of rootlesskit")
	return cmd
}
