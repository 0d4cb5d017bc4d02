package main

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fnb/schema/settings"
)

// readConfig reads fnb's settings.
func readConfig() (settings.Settings, error) {
	path, err := configFile()
	if err != nil {
		return settings.Settings{}, err
	}
	cfg, err := settings.Read(path)
	if err == nil && os.Getenv("FNB_CONFIG") != "" {
		if _, missing := os.Stat(path); missing != nil {
			return cfg, hint(fmt.Errorf("the settings that FNB_CONFIG names: %w", missing), "to use no settings, unset FNB_CONFIG")
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
func stepNetwork(b *settings.Builder) error {
	switch v := os.Getenv("FNB_BUILDER_NETWORK"); v {
	case "":
	case settings.NetworkOwn, settings.NetworkHost:
		b.Network = v
	default:
		return usagef("fnb", "FNB_BUILDER_NETWORK=%q: it must be %s or %s", v, settings.NetworkOwn, settings.NetworkHost)
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
func proxyListener(proxy string) (settings.Listener, bool) {
	if !strings.Contains(proxy, "://") {
		proxy = "http://" + proxy
	}
	u, err := url.Parse(proxy)
	if err != nil {
		return settings.Listener{}, false // steps are given it all the same
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	l, err := settings.ParseListener(net.JoinHostPort(u.Hostname(), cmp.Or(port, "1080")))
	return l, err == nil
}

// mirrorsOf are the hosts that the settings name as mirrors of registries, which a
// builder may have credentials for.
func mirrorsOf(cfg settings.Settings) []string {
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
