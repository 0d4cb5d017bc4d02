package gitconfig

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fnb/internal/fixture"
)

// TestGitConfigAlike reads the same files with git and without it.
func TestGitConfigAlike(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	fixture.Must(t, os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(`[url "https://a b/"]
	insteadOf = x: ; a remark
	insteadOf = "y\t#"
[include]
	path = more
[HTTP "https://Host/"]
	extraHeader = "A: b"
[core]
	sshCommand = ssh -i \"k\"
`), 0o600))
	fixture.Must(t, os.MkdirAll(filepath.Join(home, ".config", "git"), 0o700))
	fixture.Must(t, os.WriteFile(filepath.Join(home, "more"), []byte("[http]\n\tsslVerify = no\n"), 0o600))
	fixture.Must(t, os.WriteFile(filepath.Join(home, ".config", "git", "config"), []byte("[http]\n\tproxy = p:1\n"), 0o600))
	env := environment(t, "http.proxy", "", "url.https://z/.insteadOf", "z:")
	env["HOME"] = home
	asked, err := Read(t.Context(), envOf(env))
	fixture.Must(t, err)
	read := &Config{getenv: envOf(env)}
	fixture.Must(t, read.readFiles())
	if fmt.Sprint(asked.settings) != fmt.Sprint(read.settings) || len(read.settings) != 8 {
		t.Errorf("git: %q\nfnb: %q", asked.settings, read.settings)
	}
	fixture.Must(t, os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("[url\n"), 0o600))
	for name, o := range map[string]func() error{
		"git": func() error { _, err := Read(t.Context(), envOf(env)); return err },
		"fnb": func() error { return (&Config{getenv: envOf(env)}).readFiles() },
	} {
		if err := o(); err == nil || !strings.HasPrefix(err.Error(), "reading git's configuration: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestURLFits compares as git's documentation of http.<url> says.
func TestURLFits(t *testing.T) {
	t.Parallel()
	u, err := url.Parse("https://git.example.com/acme/one.git")
	fixture.Must(t, err)
	for pattern, want := range map[string]bool{
		"https://git.example.com": true, "https://GIT.example.com:443/": true, "https://git.example.com/acme": true, "https://git.example.com/acme/": true,
		"https://*.example.com/": true, "https://git.example.com/acm": false, "http://git.example.com/": false, "https://git.example.com:8443/": false,
		"https://example.com/": false, "https://*.com/": false, "https://u@git.example.com/": false, "git.example.com": false,
	} {
		if _, ok := fitOf(pattern, u); ok != want {
			t.Errorf("%s: %v", pattern, ok)
		}
	}
	c := &Config{getenv: envOf(nil), settings: []setting{
		{"http", "https://git.example.com/acme", "proxy", "http://right:1"},
		{"http", "", "proxy", "http://wrong:1"},
		{"http", "https://git.example.com", "extraheader", "A: 1"},
		{"http", "https://git.example.com/acme", "extraheader", "A: 2"},
		{"http", "https://*.example.com", "extraheader", "A: 3"},
	}}
	h, err := c.HTTP(u)
	if err != nil || h.proxy.Host != "right:1" || fmt.Sprint(h.Headers) != "[{A 1} {A 2}]" {
		t.Errorf("%+v %v", h, err)
	}
}

// environment is an environment with a home and these pairs of git's configuration.
func environment(t *testing.T, pairs ...string) map[string]string {
	t.Helper()
	env := map[string]string{"HOME": t.TempDir(), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_COUNT": fmt.Sprint(len(pairs) / 2)}
	for i := 0; i < len(pairs); i += 2 {
		env[fmt.Sprintf("GIT_CONFIG_KEY_%d", i/2)], env[fmt.Sprintf("GIT_CONFIG_VALUE_%d", i/2)] = pairs[i], pairs[i+1]
	}
	return env
}

func envOf(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}
