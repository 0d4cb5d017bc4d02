package credentials

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fnb/internal/fixture"
	"fnb/origin"
)

func TestTokenVariables(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for host, want := range map[string]string{
		"git.example.com": "GIT_EXAMPLE_COM", "git-example.com": "GIT__EXAMPLE_COM", "git--example.com": "GIT____EXAMPLE_COM",
		"git.example-com": "GIT_EXAMPLE__COM", "127.0.0.1:8080": "127_0_0_1_8080", "localhost": "LOCALHOST", "a:80": "A_80",
		"[::1]:8080": "___1__8080", "[::1]": "___1_", "[fe80::]:80": "_FE80____80",
		"git_example.com": "", "git.example.com.": "", "a..b": "", "a-.b": "", "a.-b": "", "-a": "", "a.80": "", "1.2.3.4.5": "", "": "", "bücher.example": "",
	} {
		got := TokenVariable(host)
		if want != "" {
			want = "FNB_GIT_TOKEN_" + want
		}
		if got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
		if other, ok := seen[got]; ok && got != "" {
			t.Errorf("%s and %s have the same", host, other)
		}
		seen[got] = host
	}
}

// TestLookAlikeGetsNoToken asks for hosts whose name is nearly that of a token's.
func TestLookAlikeGetsNoToken(t *testing.T) {
	t.Parallel()
	env := envOf(map[string]string{
		"FNB_GIT_TOKEN_GIT_EXAMPLE_COM": "S", "GH_TOKEN": "S", "GITHUB_TOKEN": "S", "GITLAB_TOKEN": "S",
		"CI_JOB_TOKEN": "S", "CI_SERVER_HOST": "gitlab.example.com", "HOME": t.TempDir(),
	})
	for address, want := range map[string]bool{
		"https://git.example.com/x.git": true, "https://git.example.com:443/x.git": true, "https://GIT.example.com/x.git": true,
		"https://git-example.com/x.git": false, "https://git.example.com:8443/x.git": false, "https://git_example.com/x.git": false,
		"https://git.example.com./x.git": false, "https://git.example-com/x.git": false,
		"https://github.com/x.git": true, "https://github.com:8443/x.git": false, "http://github.com/x.git": false, "https://a.github.com/x.git": false,
		"https://gitlab.com/x.git": true, "http://gitlab.com:443/x.git": false,
		"https://gitlab.example.com/x.git": true, "https://gitlab.example.com:22/x.git": false, "http://gitlab.example.com/x.git": false,
	} {
		var got *origin.Secret
		err := Each(t.Context(), env, address, func(s *origin.Secret) (bool, error) {
			got = s
			return false, nil
		})
		e, named := errors.AsType[*TokenNameError](err)
		if (got != nil) != want || err != nil && !named {
			t.Errorf("%s: %+v %v", address, got, err)
		}
		if named && (e.Right == e.Variable || TokenVariable(e.Host) != e.Right || !strings.Contains(e.Host, "-")) {
			t.Errorf("%+v", e)
		}
	}
}

func TestNetrc(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ file, host, user, secret string }{
		{"machine h login a password b", "h", "a", "b"},
		{"machine h\n  login a\n  password b\nmachine h login c password d", "h", "a", "b"},
		{"machine H login a password b", "h", "a", "b"},
		{"machine h login a\ndefault login x password y", "h", "x", "y"}, // CVE-2024-11053: nothing is mixed
		{"machine h login a\nmachine o login x password y", "h", "", ""},
		{"default login x password y\nmachine h login a password b", "h", "a", "b"},
		{"default", "h", "", ""}, // CVE-2025-0167
		{"machine h login machine password default", "h", "machine", "default"},
		{"macdef m\nmachine h login e password vil\n\nmachine h login a password b", "h", "a", "b"},
		{"macdef m machine h login e password vil\n\nmachine h login a password b", "h", "a", "b"},
		{"# machine h login e password vil\nmachine h login a password #b", "h", "a", "#b"},
		{"machine h account z login a password b", "h", "a", "b"},
		{"machine h password a\x00b", "h", "", ""},
		{"machine", "h", "", ""},
		{"login a password b", "h", "", ""},
		{"machine hh login a password b", "h", "", ""},
	} {
		user, secret, err := readNetrc(strings.NewReader(test.file), test.host)
		if err != nil || user != test.user || secret != test.secret {
			t.Errorf("%q: %q %q %v", test.file, user, secret, err)
		}
	}
}

func FuzzNetrc(f *testing.F) {
	f.Add("machine h login a password b\ndefault login x password y", "h")
	f.Add("macdef m\nx\n\nmachine h\nlogin a\npassword b # c", "h")
	f.Fuzz(func(t *testing.T, file, host string) {
		user, secret, err := readNetrc(strings.NewReader(file), host)
		if err != nil {
			return
		}
		if strings.ContainsAny(user+secret, "\r\n\x00 \t") {
			t.Errorf("%q %q", user, secret)
		}
		if secret != "" && !strings.Contains(file, "default") && !strings.Contains(strings.ToLower(file), strings.ToLower(host)) && host != "" {
			t.Errorf("%q has nothing of %q", file, host)
		}
	})
}

// FuzzCredentials looks up credentials for any address: nothing of it becomes a line of
// a question, and no token is that of another host.
func FuzzCredentials(f *testing.F) {
	for _, s := range []string{"https://git-example.com/x", "https://git.example.com/a%0ahost=github.com", "https://[::1]:80/", "http://a:80%0a/", "https://git.example.com:8443/x?a=%0d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, address string) {
		c := &lookup{func(name string) string {
			if name == "FNB_GIT_TOKEN_GIT_EXAMPLE_COM" {
				return "S"
			}
			return ""
		}}
		u, err := origin.Check(address)
		if err != nil {
			return
		}
		to := target{Origin: origin.Of(u), path: u.Path}
		if _, err := to.question(); err != nil && u.Host != "" && u.Scheme != "" {
			t.Errorf("%q: %v", address, err)
		}
		if _, secret, _ := c.token(context.Background(), to); secret != "" && to.HostPort() != "git.example.com" {
			t.Errorf("%q: %s got the token", address, to.HostPort())
		}
	})
}

// TestAddressIsOneQuestion has an address be several lines, which a credential helper
// would take for another host (CVE-2020-5260, CVE-2020-11008, CVE-2024-52006).
func TestAddressIsOneQuestion(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/a%0ahost=github.com%0aprotocol=https%0apath=acme/", "/a%0d%0ahost=github.com/templates.json", "/a%00/", "/a%1b%5b2J/"} {
		home := t.TempDir()
		asked := filepath.Join(home, "asked")
		fixture.Must(t, os.WriteFile(filepath.Join(home, "helper"), []byte("#!/bin/sh\ncat >> "+asked+"\necho username=alice; echo password=SECRET\n"), 0o700)) //nolint:gosec // it is a program
		fixture.Must(t, os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("[credential]\n\thelper = "+filepath.Join(home, "helper")+"\n\tuseHttpPath = true\n"), 0o600))
		used := false
		err := Each(t.Context(), envOf(map[string]string{"HOME": home}), "http://127.0.0.1:1"+path, func(*origin.Secret) (bool, error) {
			used = true
			return false, nil
		})
		if data, rerr := os.ReadFile(asked); err == nil || rerr == nil || used {
			t.Errorf("%s: %v; the helper was asked %q", path, err, data)
		}
	}
	for _, to := range []target{
		{},
		{Origin: origin.Origin{Scheme: "https"}},
		{Origin: origin.Origin{Host: "h"}},
		{Origin: origin.Origin{Scheme: "https", Host: "h\nhost=github.com"}},
		{Origin: origin.Origin{Scheme: "https", Host: "h"}, path: "x\r"},
	} {
		if q, err := to.question(); err == nil {
			t.Errorf("%q was asked", q)
		}
	}
}

func envOf(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}
