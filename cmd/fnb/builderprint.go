package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"fnb/internal/plain"
	"fnb/schema/settings"
)

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
		cache = plain.Size(*s.Bytes)
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
	case settings.NetworkOwn:
		return "RUN steps reach the internet, not the builder's machine"
	case settings.NetworkHost:
		return "RUN steps reach what the builder's machine does, its loopback included"
	case "cni":
		return "RUN steps have a network of their own"
	}
	return ""
}
