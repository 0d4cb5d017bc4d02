//go:build unix

package ci

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fnb/internal/servers"
)

// newKey makes a key of OpenSSH's, and returns its file.
func newKey(tb testing.TB, name string) string {
	tb.Helper()
	file := filepath.Join(openFolder(tb), name)
	out, err := exec.CommandContext(tb.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", file).CombinedOutput()
	if err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	return file
}

// signed is a page whose list of checksums a key has signed for a purpose.
func (p pageOfReleases) signed(tb testing.TB, key, purpose string) pageOfReleases {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", purpose)
	cmd.Stdin = strings.NewReader(string(p["checksums.txt"]))
	out, err := cmd.Output()
	if err != nil {
		tb.Fatal(err)
	}
	p = maps.Clone(p)
	p["checksums.txt.sig"] = out
	return p
}

// TestInstallSigned wants a release that a key has signed, as ssh-keygen verifies it.
func TestInstallSigned(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("ssh-keygen")
	servers.Require(t, "ssh", err)
	key, other := newKey(t, "release"), newKey(t, "other")
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	line := strings.TrimSpace(string(public))
	archive := tarOf(t, testRelease)
	page := newPage(archive).signed(t, key, "fnb-release")
	script, err := os.ReadFile("../../install.sh")
	if err != nil {
		t.Fatal(err)
	}
	pinned := strings.Replace(string(script), "\nkey=''\n", "\nkey='"+line+"'\n", 1)

	changed := maps.Clone(page)
	changed["checksums.txt"] = append([]byte("\n"), page["checksums.txt"]...)
	older := newPage(archive)
	older["checksums.txt"] = []byte(strings.ReplaceAll(string(older["checksums.txt"]), testVersion, "1.2.2"))
	login := maps.Clone(page)
	login["checksums.txt.sig"] = []byte("<html>Log in to go on.</html>")
	archiveSum := sumOf(archive)
	for name, tt := range map[string]struct {
		page   pageOfReleases
		script string
		args   []string
		want   string // in what it says; "" is installed
	}{
		"the key itself":              {page, "", []string{"--key", line}, ""},
		"its file":                    {page, "", []string{"--key", key + ".pub"}, ""},
		"with a checksum":             {page, "", []string{"--key", line, "--sha256", archiveSum}, ""},
		"with the list's":             {page, "", []string{"--key", line, "--sha256", sumOf(page["checksums.txt"])}, ""},
		"the key of the script":       {page, pinned, nil, ""},
		"a checksum in its place":     {newPage(archive), pinned, []string{"--sha256", archiveSum}, ""},
		"another key than its own":    {page.signed(t, other, "fnb-release"), pinned, []string{"--key", other + ".pub"}, ""},
		"nobody's":                    {newPage(archive), "", []string{"--key", line}, "checksums.txt.sig, the signature of the release: nothing was installed"},
		"nobody's, for the script":    {newPage(archive), pinned, nil, "checksums.txt.sig, the signature of the release: nothing was installed"},
		"nobody's, with its checksum": {newPage(archive), "", []string{"--key", line, "--sha256", archiveSum}, "the signature of the release: nothing was installed"},
		"another's":                   {page.signed(t, other, "fnb-release"), "", []string{"--key", line}, "is not signed by the key: nothing was installed"},
		"for another purpose":         {page.signed(t, key, "git"), "", []string{"--key", line}, "is not signed by the key: nothing was installed"},
		"of other checksums":          {changed, "", []string{"--key", line}, "is not signed by the key: nothing was installed"},
		"of an older release":         {older.signed(t, key, "fnb-release"), "", []string{"--key", line}, "has no checksum of " + strings.TrimSuffix(archiveName(""), ".tar.gz")},
		"a page of a proxy":           {login, "", []string{"--key", line}, "is not signed by the key (it is a web page: is there a proxy that wants a login?)"},
		"a good one, and a wrong sum": {page, "", []string{"--key", line, "--sha256", strings.Repeat("0", 64)}, ", so nothing was installed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := installation{script: tt.script, args: append([]string{testVersion, "--base", tt.page.folder(t)}, tt.args...)}.run(t)
			if tt.want == "" && (got.code != 0 || left(t, got.home) != ".local/bin/fnb") {
				t.Errorf("%+v", got)
			}
			if tt.want != "" && (got.code != 1 || !strings.Contains(got.stderr, tt.want) || left(t, got.home) != "") {
				t.Errorf("%+v, want %q", got, tt.want)
			}
		})
	}

	got := installation{shell: []string{"/bin/sh"}, args: []string{testVersion, "--base", page.folder(t), "--key", line}, env: []string{toolsOnly(t, false, "sha256sum", "tar")}}.run(t)
	if got.code != 1 || !strings.Contains(got.stderr, "ssh-keygen is not installed, so the signature of the release cannot be checked: install OpenSSH") || left(t, got.home) != "" {
		t.Errorf("without ssh-keygen: %+v", got)
	}
}
