package main

import (
	"context"

	"github.com/spf13/cobra"

	"fnb/builder"
	"fnb/builder/fleet"
)

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

// builderStatus asks the builder, or each one of a fleet. One of a fleet that does not
// answer is part of the answer; that nobody does is an error.
func (g *globals) builderStatus(ctx context.Context) (*builderStatus, error) {
	choice, err := g.choice()
	if err != nil {
		return nil, err
	}
	if address, _ := choice.Named(); address == "" && choice.Managed != nil {
		return g.managedStatus(ctx, choice)
	}
	states, err := fleet.Inspect(ctx, choice)
	if err != nil {
		return nil, err
	}
	if !choice.Several() {
		return statusOf(states[0]), nil
	}
	var all int64
	s := &builderStatus{Running: true, Bytes: &all}
	for _, state := range states {
		s.Fleet = append(s.Fleet, *statusOf(state))
		if state.Bytes != nil {
			all += *state.Bytes
		}
	}
	return s, nil
}

// managedStatus is that of fnb's own builder, which is not started for it.
func (g *globals) managedStatus(ctx context.Context, choice fleet.Choice) (*builderStatus, error) {
	m, _, err := g.ownBuilder()
	if err != nil {
		return nil, err
	}
	process, err := m.State()
	if err != nil {
		return nil, err
	}
	s := &builderStatus{Managed: true, Log: process.Log, Root: m.Root}
	if s.Address = m.Address(); !process.Running {
		return s, nil
	}
	choice.Settings = []fleet.Setting{{By: "fnb's own", Address: s.Address}}
	states, err := fleet.Inspect(ctx, choice)
	if err != nil {
		return nil, err
	}
	s.Running, s.Busy, s.PID = true, process.Busy, process.PID
	s.Info, s.Bytes = states[0].Info, states[0].Bytes
	return s, nil
}

func statusOf(state fleet.State) *builderStatus {
	s := &builderStatus{Info: state.Info, Running: state.Running, Bytes: state.Bytes}
	if state.Err != nil {
		s.Error = state.Err.Error()
	}
	return s
}
