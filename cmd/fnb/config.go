package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"fnb/builder"
	"fnb/schema"
)

// readConfig reads fnb's settings.
func readConfig() (schema.Config, error) {
	path, err := configFile()
	if err != nil {
		return schema.Config{}, err
	}
	cfg, err := schema.ReadConfig(path)
	if err == nil && os.Getenv("FNB_CONFIG") != "" {
		if _, missing := os.Stat(path); missing != nil {
			return cfg, hint(fmt.Errorf("the settings that FNB_CONFIG names: %w", missing), "leave FNB_CONFIG unset to do without")
		}
	}
	if err != nil {
		return cfg, err
	}
	return cfg, stepNetwork(&cfg.Builder)
}

// configFile is where fnb's settings are, or would be.
func configFile() (string, error) {
	if path := os.Getenv("FNB_CONFIG"); path != "" {
		return path, nil
	}
	dir, err := configDir()
	return filepath.Join(dir, "config.yaml"), err
}

// stepNetwork completes what RUN steps of the managed builder reach with what the
// environment says: FNB_BUILDER_NETWORK, and proxies of this machine.
func stepNetwork(b *schema.BuilderConfig) error {
	switch v := os.Getenv("FNB_BUILDER_NETWORK"); v {
	case "":
	case schema.NetworkOwn, schema.NetworkHost:
		b.Network = v
	default:
		return usagef("fnb", "FNB_BUILDER_NETWORK=%q: it has to be %s or %s", v, schema.NetworkOwn, schema.NetworkHost)
	}
	for name, v := range proxies() {
		if l, ok := proxyListener(v); ok && name != "NO_PROXY" && !slices.Contains(b.Reach, l.String()) {
			b.Reach = append(b.Reach, l.String())
		}
	}
	slices.Sort(b.Reach) // for the builder's identity
	return nil
}

// proxyListener is where a proxy listens, if that can be this machine.
func proxyListener(proxy string) (schema.Listener, bool) {
	if !strings.Contains(proxy, "://") {
		proxy = "http://" + proxy
	}
	u, err := url.Parse(proxy)
	if err != nil {
		return schema.Listener{}, false // steps are given it all the same
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	l, err := schema.ParseListener(net.JoinHostPort(u.Hostname(), cmp.Or(port, "1080")))
	return l, err == nil
}

// mirrorsOf are the hosts that the settings name as mirrors of registries, which a
// builder may have credentials for.
func mirrorsOf(cfg schema.Config) []string {
	var hosts []string
	for _, r := range cfg.Builder.Registries {
		for _, mirror := range r.Mirrors {
			host, _, _ := strings.Cut(mirror, "/")
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// managedBuilder describes this user's managed builder.
func managedBuilder(cfg schema.Config) (builder.Managed, error) {
	root := os.Getenv("FNB_BUILDER_ROOT")
	if root == "" {
		dir, err := dataDir()
		if err != nil {
			return builder.Managed{}, err
		}
		root = filepath.Join(dir, "builder")
	}
	exe, err := os.Executable()
	if err != nil {
		return builder.Managed{}, fmt.Errorf("finding fnb's own program: %w", err)
	}
	m := builder.Managed{Root: root, Socket: socketFor(root), Rootless: os.Geteuid() != 0, Network: cfg.Builder.Network}
	m.Identity = identity(exe, cfg)
	m.Command = []string{
		exe, "builder", "serve", "--root=" + m.Root, "--socket=" + m.Socket,
		"--identity=" + m.Identity, "--rootless=" + strconv.FormatBool(m.Rootless),
	}
	return m, nil
}

// identity changes with the program and with the settings that the builder
// reads when it starts.
func identity(exe string, cfg schema.Config) string {
	h := sha256.New()
	fmt.Fprintln(h, fnbVersion())
	if fi, err := os.Stat(exe); err == nil {
		fmt.Fprintln(h, fi.Size(), fi.ModTime().UnixNano())
	}
	_ = json.NewEncoder(h).Encode(cfg.Builder) // plain data into a hash
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// builderAddress is the address of the builder that was asked for, "" for the
// managed one, and who asked.
func (g *globals) builderAddress(cfg schema.Config) (address, by string) {
	switch {
	case g.builder != "":
		return g.builder, "--builder or FNB_BUILDER"
	case os.Getenv("BUILDKIT_HOST") != "":
		return os.Getenv("BUILDKIT_HOST"), "BUILDKIT_HOST"
	case cfg.Builder.Address != "":
		return cfg.Builder.Address, "fnb's settings"
	}
	return "", ""
}

// connect finds the builder, starting the managed one where none was asked for.
func (g *globals) connect(ctx context.Context) (*builder.Client, error) {
	cfg, err := readConfig()
	if err != nil {
		return nil, err
	}
	nodes, by, err := g.nodes(cfg)
	if err != nil {
		return nil, err
	}
	if isFleet(nodes) {
		c, err := anyOf(ctx, nodes)
		if err != nil {
			return nil, fmt.Errorf("connecting to the builders of %s: %w", by, err)
		}
		return c, nil
	}
	var one builder.Options
	if len(nodes) == 1 {
		one = nodes[0]
	}
	if one.Address == "" && builder.Embedded {
		m, err := managedBuilder(cfg)
		if err != nil {
			return nil, err
		}
		return m.Connect(ctx)
	}
	if one.Address == "" {
		if one.Address = runningBuilder(); one.Address == "" {
			return nil, hint(&builder.UnreachableError{Address: "any place fnb knows", Err: fmt.Errorf("this fnb carries no builder, and neither buildkitd nor a Docker Engine runs")},
				"start buildkitd, or a Docker Engine")
		}
	}
	c, err := builder.Dial(ctx, one)
	if err != nil && by != "" {
		return nil, fmt.Errorf("connecting to the builder of %s: %w", by, err)
	}
	return c, err
}

// runningBuilder is the address of a builder that runs on this machine; "" for
// none.
func runningBuilder() string {
	for _, c := range []struct{ socket, scheme string }{
		{"/run/buildkit/buildkitd.sock", "unix://"},
		{filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "buildkit/buildkitd.sock"), "unix://"},
		{"/var/run/docker.sock", "docker://"},
	} {
		if fi, err := os.Stat(c.socket); err == nil && fi.Mode()&os.ModeSocket != 0 {
			return c.scheme + c.socket
		}
	}
	return ""
}
