package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"fnb/builder"
	"fnb/builder/fleet"
	"fnb/builder/managed"
	"fnb/schema/settings"
)

const plaintextFlag = "builder-plaintext"

// choice says which builders the command line, the environment and the settings ask for.
func (g *globals) choice() (fleet.Choice, error) {
	cfg, err := g.config()
	if err != nil {
		return fleet.Choice{}, err
	}
	c := fleet.Choice{
		Settings: []fleet.Setting{
			{By: "--builder or FNB_BUILDER", Address: g.builder.address},
			{By: "BUILDKIT_HOST", Address: os.Getenv("BUILDKIT_HOST")},
			{By: "fnb's settings", Address: cfg.Builder.Address},
		},
		TLSDir: cfg.Builder.TLS, Plaintext: g.builder.plaintext, Accept: g.accept,
	}
	if g.builder.tlsDir != "" {
		c.TLSDir = g.builder.tlsDir
	}
	if embedded {
		c.Managed = func(ctx context.Context) (*builder.Client, error) {
			m, err := managedBuilder(cfg)
			if err != nil {
				return nil, err
			}
			return m.Connect(ctx)
		}
	}
	return c, nil
}

// connect is a client of the builder, or of one of a fleet's.
func (g *globals) connect(ctx context.Context) (*builder.Client, error) {
	c, err := g.choice()
	if err != nil {
		return nil, err
	}
	return fleet.FindOne(ctx, c)
}

// ownBuilder is this user's managed builder, with fnb's settings.
func (g *globals) ownBuilder() (managed.Builder, settings.Settings, error) {
	cfg, err := g.config()
	if err != nil {
		return managed.Builder{}, cfg, err
	}
	m, err := managedBuilder(cfg)
	return m, cfg, err
}

// managedBuilder describes this user's managed builder.
func managedBuilder(cfg settings.Settings) (managed.Builder, error) {
	root := os.Getenv("FNB_BUILDER_ROOT")
	if root == "" {
		dir, err := dataDir()
		if err != nil {
			return managed.Builder{}, err
		}
		root = filepath.Join(dir, "builder")
	}
	exe, err := os.Executable()
	if err != nil {
		return managed.Builder{}, fmt.Errorf("finding fnb's own program: %w", err)
	}
	m := managed.Builder{Root: root, Socket: socketFor(root), Rootless: os.Geteuid() != 0, Network: cfg.Builder.Network}
	m.Identity = identity(exe, cfg)
	m.Command = []string{
		exe, "builder", "serve", "--root=" + m.Root, "--socket=" + m.Socket,
		"--identity=" + m.Identity, "--rootless=" + strconv.FormatBool(m.Rootless),
	}
	return m, nil
}

// identity changes with the program and with the settings that the builder
// reads when it starts.
func identity(exe string, cfg settings.Settings) string {
	h := sha256.New()
	fmt.Fprintln(h, fnbVersion())
	if fi, err := os.Stat(exe); err == nil {
		fmt.Fprintln(h, fi.Size(), fi.ModTime().UnixNano())
	}
	cfg.Builder.CA = nil                       // which every command brings along
	_ = json.NewEncoder(h).Encode(cfg.Builder) // plain data into a hash
	return hex.EncodeToString(h.Sum(nil)[:8])
}
