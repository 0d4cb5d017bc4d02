//go:build unix

package ci

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fnb/internal/servers"
)

// The version of the release that the tests install, and what its archive is called here.
const testVersion = "1.2.3"

// A member is one entry of an archive.
type member struct{ name, body, link string }

// program is a program that says a version.
func program(version string) string { return "#!/bin/sh\necho fnb " + version + "\n" }

var testRelease = []member{{name: "LICENSE", body: "free"}, {name: "fnb", body: program(testVersion)}}

func tarOf(tb testing.TB, members []member) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Mode: 0o755, Size: int64(len(m.body)), Linkname: m.link}
		if m.link != "" {
			h.Typeflag = tar.TypeSymlink
		}
		if err := w.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.WriteString(w, m.body); err != nil {
			tb.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(tb testing.TB, members []member) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		f, err := w.Create(m.name)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := io.WriteString(f, m.body); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// archiveName is the name of an archive for Linux.
func archiveName(arch string) string { return "fnb_" + testVersion + "_linux_" + arch + ".tar.gz" }

// A pageOfReleases answers as a host of releases does; each file may be another than it should.
type pageOfReleases map[string][]byte

// newPage has one release whose archive is the same for each platform.
func newPage(archive []byte) pageOfReleases {
	p := pageOfReleases{}
	var sums strings.Builder
	for _, arch := range []string{"amd64", "arm64"} {
		p[archiveName(arch)] = archive
		fmt.Fprintf(&sums, "%s  %s\n", sumOf(archive), archiveName(arch))
	}
	p["checksums.txt"] = []byte(sums.String())
	return p
}

// serve serves the page by HTTP on loopback.
func (p pageOfReleases) serve(tb testing.TB) string {
	tb.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if file, ok := p[strings.TrimPrefix(r.URL.Path, "/fnb/v"+testVersion+"/")]; ok {
			_, _ = w.Write(file)
			return
		}
		http.NotFound(w, r)
	}))
	tb.Cleanup(s.Close)
	return s.URL + "/fnb"
}

// folder writes the page into a folder, and returns its address.
func (p pageOfReleases) folder(tb testing.TB) string {
	tb.Helper()
	dir := openFolder(tb)
	page := filepath.Join(dir, "v"+testVersion)
	if err := os.Mkdir(page, 0o755); err != nil {
		tb.Fatal(err)
	}
	for name, data := range p {
		if err := os.WriteFile(filepath.Join(page, name), data, 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return "file://" + dir
}

// openFolder is a temporary folder that the user nobody may look into.
func openFolder(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// nobody is who the script runs as if the tests are root.
const nobody = 65534

// An installation is one run of install.sh.
type installation struct {
	shell  []string // that reads the script; none is sh
	script string   // "" is install.sh
	args   []string
	env    []string
	home   string // "" is a new folder
	asRoot bool
}

type outcome struct {
	code           int
	stdout, stderr string
	home           string
}

// command is the installation, ready to be started: sh reads the script as it does behind a pipe.
func (i *installation) command(tb testing.TB) *exec.Cmd {
	tb.Helper()
	if i.script == "" {
		data, err := os.ReadFile("../../install.sh")
		if err != nil {
			tb.Fatal(err)
		}
		i.script = string(data)
	}
	shell := i.shell
	if len(shell) == 0 {
		shell = []string{"sh"}
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Minute)
	tb.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, shell[0], append(append(append([]string{}, shell[1:]...), "-s", "--"), i.args...)...)
	cmd.Stdin = strings.NewReader(i.script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if i.home == "" {
		i.home = openFolder(tb)
	}
	cmd.Dir = i.home
	if os.Geteuid() == 0 && !i.asRoot {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		if err := os.Chown(i.home, nobody, nobody); err != nil {
			tb.Fatal(err)
		}
	}
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + i.home}, i.env...)
	return cmd
}

func (i installation) run(tb testing.TB) outcome {
	tb.Helper()
	cmd := i.command(tb)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		tb.Fatal(err, exit)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String(), i.home}
}

// left returns what is below a folder, folders aside.
func left(tb testing.TB, dir string) string {
	tb.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path) // both are absolute
			all = append(all, rel)
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Join(all, " ")
}

// shells returns the shells that the script is for, and those of them that are missing here.
func shells(tb testing.TB) [][]string {
	tb.Helper()
	for _, name := range []string{"busybox", "dash", "bash", "unzip", "shellcheck"} {
		_, err := exec.LookPath(name)
		servers.Require(tb, "shells", err)
	}
	return [][]string{{"dash"}, {"bash"}, {"bash", "--posix"}, {"busybox", "sh"}}
}

// toolsOnly makes a PATH with some programs of the machine and none else, by the names that they
// have there; with a busybox they are that one's.
func toolsOnly(tb testing.TB, busybox bool, names ...string) string {
	tb.Helper()
	dir := openFolder(tb)
	for _, name := range append(names, "sh", "id", "uname", "tr", "mkdir", "mktemp", "rm", "mv", "cp", "cat", "cut", "sed", "grep", "head", "chmod", "gzip") {
		from := name
		if busybox {
			from = "busybox"
		}
		path, err := exec.LookPath(from)
		servers.Require(tb, "shells", err)
		if path, err = filepath.EvalSymlinks(path); err != nil {
			tb.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			tb.Fatal(err)
		}
	}
	return "PATH=" + dir
}

// TestInstall installs a release with each shell, from a folder and a server, with every pair of
// programs that may be there to get and to check it.
func TestInstall(t *testing.T) {
	t.Parallel()
	page := newPage(tarOf(t, testRelease))
	folder, server := page.folder(t), page.serve(t)
	good := func(name string, i installation) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := i.run(t)
			if got.code != 0 || got.stdout != got.home+"/.local/bin/fnb\n" || left(t, got.home) != ".local/bin/fnb" {
				t.Fatalf("%+v left %q", got, left(t, got.home))
			}
			if !strings.Contains(got.stderr, `type: export PATH="`+got.home+`/.local/bin:$PATH"`) {
				t.Errorf("it says %q", got.stderr)
			}
			said, err := exec.CommandContext(t.Context(), got.home+"/.local/bin/fnb", "version").Output()
			if err != nil || string(said) != "fnb "+testVersion+"\n" {
				t.Errorf("it is %q, %v", said, err)
			}
		})
	}
	for _, shell := range shells(t) {
		for _, base := range []string{folder, server} {
			good(strings.Join(shell, " ")+" "+base[:4], installation{shell: shell, args: []string{testVersion, "--base", base}})
		}
	}
	dash := []string{"/bin/sh"}
	good("v before the version, a slash behind the base", installation{args: []string{"v" + testVersion, "--base", server + "/"}})
	good("file: with one slash", installation{args: []string{"--base", "file:" + strings.TrimPrefix(folder, "file://"), testVersion}})
	good("wget, shasum", installation{shell: dash, args: []string{testVersion, "--base", server}, env: []string{toolsOnly(t, false, "wget", "shasum", "perl", "tar")}})
	good("curl", installation{shell: dash, args: []string{testVersion, "--base", server}, env: []string{toolsOnly(t, false, "curl", "sha256sum", "tar")}})
	good("neither, from a folder", installation{shell: dash, args: []string{testVersion, "--base", folder}, env: []string{toolsOnly(t, false, "sha256sum", "tar")}})
	good("BusyBox alone", installation{shell: dash, args: []string{testVersion, "--base", server}, env: []string{toolsOnly(t, true, "wget", "sha256sum", "tar")}})
	good("the archive's checksum", installation{args: []string{testVersion, "--base", server, "--sha256", strings.ToUpper(sumOf(page[archiveName("amd64")]))}})
	good("the list's checksum", installation{args: []string{testVersion, "--base", server, "--sha256", sumOf(page["checksums.txt"])}})
	unlisted := pageOfReleases{archiveName("amd64"): page[archiveName("amd64")], archiveName("arm64"): page[archiveName("arm64")]}
	windows := newPage(page[archiveName("amd64")])
	windows["checksums.txt"] = []byte(strings.ReplaceAll(strings.ReplaceAll(strings.ToUpper(string(page["checksums.txt"])), "\n", "\r\n"), "FNB_1.2.3_LINUX_AMD64.TAR.GZ", archiveName("amd64")))
	windows["checksums.txt"] = []byte(strings.ReplaceAll(string(windows["checksums.txt"]), "FNB_1.2.3_LINUX_ARM64.TAR.GZ", archiveName("arm64")))
	good("a list that Windows wrote", installation{args: []string{testVersion, "--base", windows.serve(t)}})
	good("a mirror without a list", installation{args: []string{testVersion, "--base", unlisted.serve(t), "--sha256", sumOf(page[archiveName("amd64")])}})
}

// TestInstallRefuses holds that whatever is wrong with a release or a machine is said, and that
// nothing is left then.
func TestInstallRefuses(t *testing.T) {
	t.Parallel()
	good := tarOf(t, testRelease)
	wrong := strings.Repeat("0", 64)
	with := func(members ...member) pageOfReleases { return newPage(tarOf(t, append(members, testRelease...))) }
	html := []byte("\n<!DOCTYPE html>\n<html><body>Log in to go on.</body></html>\n")
	changed := newPage(good)
	changed["checksums.txt"] = []byte(wrong + "  " + archiveName("amd64") + "\n" + wrong + "  " + archiveName("arm64") + "\n")
	cut := newPage(good)
	cut[archiveName("amd64")], cut[archiveName("arm64")] = good[:len(good)/2], good[:len(good)/2]
	login := newPage(good)
	login[archiveName("amd64")], login[archiveName("arm64")] = html, html
	portal := newPage(html)
	portal["checksums.txt"] = html
	twice := newPage(good)
	twice["checksums.txt"] = append([]byte(strings.ReplaceAll(string(twice["checksums.txt"]), sumOf(good), wrong)), twice["checksums.txt"]...)
	impatient := openFolder(t)
	if err := os.WriteFile(impatient+"/timeout", []byte("#!/bin/sh\nshift\nexec /usr/bin/timeout 5 \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	dotted := newPage(good)
	dotted["checksums.txt"] = []byte(strings.ReplaceAll(string(dotted["checksums.txt"]), ".tar.gz", "-tar-gz"))
	unlisted := newPage(good)
	delete(unlisted, "checksums.txt")

	for name, tt := range map[string]struct {
		page   pageOfReleases
		args   []string
		stderr string
	}{
		"a checksum that differs":      {changed, nil, "and checksums.txt wants " + wrong + ": nothing was installed"},
		"two checksums of one file":    {twice, nil, "checksums.txt has no checksum of fnb_"},
		"no checksums":                 {unlisted, nil, "/checksums.txt; fnb_"},
		"another than the caller's":    {newPage(good), []string{"--sha256", wrong}, "neither has " + wrong + ", so nothing was installed"},
		"not the caller's, no list":    {unlisted, []string{"--sha256", wrong}, ", not " + wrong},
		"half of an archive":           {cut, nil, ": nothing was installed"},
		"half, and its checksum":       {newPage(good[:len(good)/2]), nil, "is no archive that can be read"},
		"a page of a proxy":            {login, nil, "(it is a web page: is there a proxy that wants a login?), and checksums.txt wants"},
		"only pages of a proxy":        {portal, nil, "has no checksum of fnb_"},
		"only pages, pinned":           {portal, []string{"--sha256", wrong}, "(it is a web page: is there a proxy that wants a login?): neither has"},
		"no archive, and its checksum": {newPage([]byte("fnb")), nil, "is no archive that can be read"},
		"a path upwards":               {with(member{name: "../../evil", body: "x"}), nil, "has a path that leads out of it"},
		"an absolute path":             {with(member{name: "/tmp/fnb-evil", body: "x"}), nil, "has a path that leads out of it"},
		"a path that turns":            {with(member{name: "a/../../evil", body: "x"}), nil, "has a path that leads out of it"},
		"a link to elsewhere":          {newPage(tarOf(t, []member{{name: "fnb", link: "/bin/true"}})), nil, "nothing was installed"},
		"two programs":                 {with(member{name: "fnb", body: program("6.6.6")}), nil, "does not have the program fnb once, at its top"},
		"a program that is elsewhere":  {newPage(tarOf(t, []member{{name: "bin/fnb", body: program(testVersion)}})), nil, "does not have the program fnb once, at its top"},
		"a program that does not run":  {newPage(tarOf(t, []member{{name: "fnb", body: "#!/nowhere\n"}})), nil, "does not run here: nothing was installed"},
		"a name that only looks alike": {dotted, nil, "checksums.txt has no checksum of fnb_"},
		"a program that hangs":         {newPage(tarOf(t, []member{{name: "fnb", body: "#!/bin/sh\nexec sleep 600\n"}})), nil, "does not run here: nothing was installed"},
		"another version":              {newPage(tarOf(t, []member{{name: "fnb", body: program("1.2.4")}})), nil, "says that it is another version"},
		"a version that is not there":  {newPage(good), []string{"9.9.9"}, "is there a version 9.9.9, for linux on "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, base := range []string{tt.page.folder(t), tt.page.serve(t)} {
				args := append([]string{"--base", base}, tt.args...)
				if len(tt.args) != 1 {
					args = append(args, testVersion)
				}
				got := installation{args: args, env: []string{"PATH=" + impatient + ":" + os.Getenv("PATH")}}.run(t)
				if got.code != 1 || got.stdout != "" || !strings.Contains(got.stderr, tt.stderr) {
					t.Errorf("%s: %+v", base, got)
				}
				if l := left(t, got.home); l != "" {
					t.Errorf("%s: it left %s", base, l)
				}
			}
		})
	}
}

// TestInstallKeeps holds that an update that goes wrong leaves the fnb that was there.
func TestInstallKeeps(t *testing.T) {
	t.Parallel()
	page := newPage(tarOf(t, testRelease))
	first := installation{args: []string{testVersion, "--base", page.serve(t)}}.run(t)
	page = newPage(tarOf(t, testRelease)[:100])
	again := installation{args: []string{testVersion, "--base", page.serve(t)}, home: first.home}.run(t)
	if first.code != 0 || again.code != 1 || left(t, first.home) != ".local/bin/fnb" {
		t.Errorf("%+v, then %+v left %q", first, again, left(t, first.home))
	}
}

// TestInstallRedirects: without a checksum nobody is sent from this machine to where nothing is
// encrypted; with one it does not matter. The programs that get things say why they could not.
func TestInstallRedirects(t *testing.T) {
	t.Parallel()
	page := newPage(tarOf(t, testRelease))
	elsewhere := page.serve(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.TrimSuffix(elsewhere, "/fnb")+r.URL.Path, http.StatusFound)
	}))
	t.Cleanup(s.Close)
	for name, tools := range map[string]string{
		"curl":         toolsOnly(t, false, "curl", "sha256sum", "tar"),
		"wget":         toolsOnly(t, false, "wget", "sha256sum", "tar"),
		"BusyBox wget": toolsOnly(t, true, "wget", "sha256sum", "tar"),
	} {
		i := installation{shell: []string{"/bin/sh"}, args: []string{testVersion, "--base", s.URL + "/fnb"}, env: []string{tools}}
		if got := i.run(t); got.code != 1 || !strings.Contains(got.stderr, "cannot get "+s.URL) || left(t, got.home) != "" {
			t.Errorf("%s: %+v", name, got)
		} else if name != "curl" && !strings.Contains(got.stderr, "it redirects to an address that is not encrypted: give --sha256 too") {
			t.Errorf("%s says %q", name, got.stderr)
		}
		i.args = append(i.args, "--sha256", sumOf(page["checksums.txt"]))
		if got := i.run(t); got.code != 0 {
			t.Errorf("%s, with a checksum: %+v", name, got)
		}
		i.args = []string{testVersion, "--base", "https://nowhere.invalid/fnb"}
		if got := i.run(t); got.code != 1 || strings.Count(got.stderr, "nowhere.invalid") < 2 {
			t.Errorf("%s without a network says %q", name, got.stderr)
		}
	}
}

// TestInstallAnswers: a redirect is seen however a server writes it, and what a server says drives no terminal.
func TestInstallAnswers(t *testing.T) {
	t.Parallel()
	elsewhere := newPage(tarOf(t, testRelease)).serve(t)
	for name, tools := range map[string]string{
		"curl":         toolsOnly(t, false, "curl", "sha256sum", "tar"),
		"wget":         toolsOnly(t, false, "wget", "sha256sum", "tar"),
		"BusyBox wget": toolsOnly(t, true, "wget", "sha256sum", "tar"),
	} {
		for _, head := range []string{"302 Found\r\nLocation:%s", "302 Found\r\nLocation:\t%s", "302 Found\r\nlocation:  %s", "404 \x1b[31mGone\a\r\nX: %s"} {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					return
				}
				fmt.Fprintf(conn, "HTTP/1.1 "+head+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", strings.TrimSuffix(elsewhere, "/fnb")+r.URL.Path)
				_ = conn.Close()
			}))
			t.Cleanup(s.Close)
			got := installation{shell: []string{"/bin/sh"}, args: []string{testVersion, "--base", s.URL + "/fnb"}, env: []string{tools}}.run(t)
			if got.code != 1 || !strings.Contains(got.stderr, "cannot get "+s.URL) || left(t, got.home) != "" || strings.ContainsAny(got.stderr, "\x1b\a\r") || strings.Contains(got.stderr, "No such file") {
				t.Errorf("%s, %q: %+v", name, head, got)
			}
		}
	}
}

// TestInstallMisused: what was typed wrong is said before anything is asked of a server.
func TestInstallMisused(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(s.Close)
	for args, want := range map[string]string{
		"":                                  "name a version, such as 1.2.3",
		"latest --base " + s.URL:            "latest is no version: name one such as 1.2.3",
		"1.2.3/../x --base " + s.URL:        "1.2.3/../x is no version",
		"1.2.3 1.2.4 --base " + s.URL:       "one version, not 1.2.3 and 1.2.4",
		"1.2.3":                             "no page of releases is known here: name one with --base URL",
		"1.2.3 --base":                      "--base needs a value",
		"1.2.3 --base ftp://example.com":    "--base ftp://example.com: it must begin with https: or file:",
		"1.2.3 --base http://example.com/x": "http://example.com/x is not encrypted: give --sha256 too, or an https: address",
		"1.2.3 --base http://127.0.0.1:x@192.0.2.2:18477": "is not encrypted: give --sha256 too",
		"1.2.3 --base http://localhost:1@192.0.2.2/fnb":   "is not encrypted: give --sha256 too",
		"1.2.3 --base http://127.0.0.1.example.com:80/x":  "is not encrypted: give --sha256 too",
		"1.2.3 --base http://127.0.0.1:80#@192.0.2.2/":    "is not encrypted: give --sha256 too",
		"1.2.3 --sha256 abc":                              "--sha256 abc: it must be 64 hexadecimal digits",
		"1.2.3 --sha256 \"\"":                             "--sha256 needs a value",
		"1.2.3 --to \"\"":                                 "--to needs a value",
		"1.2.3 --prefix /usr":                             "there is no flag --prefix",
		"1.2.3 --base file:/x --key abc":                  "--key is neither a public key of OpenSSH nor the file of one",
		"1.2.3 --base file:/x --key /etc/hosts":           "--key is neither a public key of OpenSSH nor the file of one",
	} {
		words := strings.Fields(args)
		for i := range words {
			words[i] = strings.Trim(words[i], `"`)
		}
		got := installation{args: words}.run(t)
		if got.code != 2 || !strings.Contains(got.stderr, want) || !strings.HasSuffix(got.stderr, "install.sh: see: sh install.sh --help\n") {
			t.Errorf("%q: %+v", args, got)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("the server was asked %d times", asked.Load())
	}
	if got := (installation{args: []string{"--help"}}).run(t); got.code != 0 || !strings.Contains(got.stdout, "Usage: sh install.sh") {
		t.Errorf("--help: %+v", got)
	}
}

// TestInstallDryRun says what would be done on each platform, and does nothing.
func TestInstallDryRun(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ system, machine, sysctl, want string }{
		{"Linux", "x86_64", "", "linux_amd64.tar.gz"},
		{"Linux", "aarch64", "", "linux_arm64.tar.gz"},
		{"Darwin", "arm64", "0", "darwin_arm64.tar.gz"},
		{"Darwin", "x86_64", "1", "darwin_arm64.tar.gz"},
		{"Darwin", "x86_64", "0", "darwin_amd64.tar.gz"},
		{"MINGW64_NT-10.0-26200", "x86_64", "", "windows_amd64.zip"},
		{"MSYS_NT-10.0-19045", "x86_64", "", "windows_amd64.zip"},
		{"Linux", "riscv64", "", ""},
		{"FreeBSD", "amd64", "", ""},
	} {
		got := installation{args: []string{testVersion, "--dry-run", "--base", "https://example.com/fnb"}, env: []string{machine(t, tt.system, tt.machine, tt.sysctl)}}.run(t)
		if left(t, got.home) != "" {
			t.Errorf("%s: it left %s", tt.system, left(t, got.home))
		}
		if tt.want == "" {
			if got.code != 1 || !strings.Contains(got.stderr, "there is no release for ") {
				t.Errorf("%s %s: %+v", tt.system, tt.machine, got)
			}
			continue
		}
		name := "fnb"
		if strings.HasSuffix(tt.want, "zip") {
			name = "fnb.exe"
		}
		want := "would get https://example.com/fnb/v1.2.3/fnb_1.2.3_" + tt.want + "\nwould check it against https://example.com/fnb/v1.2.3/checksums.txt\nwould put its program at " + got.home + "/.local/bin/" + name + "\n"
		if got.code != 0 || got.stdout != want || got.stderr != "" {
			t.Errorf("%s %s: %+v, want %q", tt.system, tt.machine, got, want)
		}
	}
}

// machine is a PATH in which uname and sysctl speak of another machine.
func machine(tb testing.TB, system, processor, translated string) string {
	tb.Helper()
	dir := openFolder(tb)
	for name, script := range map[string]string{
		"uname":  fmt.Sprintf("case $1 in -s) echo %s ;; -m) echo %s ;; esac", system, processor),
		"sysctl": "echo " + cmp.Or(translated, "0"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	return "PATH=" + dir + ":" + os.Getenv("PATH")
}

// TestInstallZip installs as on Windows, whose programs end in .exe.
func TestInstallZip(t *testing.T) {
	t.Parallel()
	shells(t) // unzip is there
	for name, tt := range map[string]struct {
		members []member
		stderr  string
	}{
		"good":           {[]member{{name: "LICENSE", body: "free"}, {name: "fnb.exe", body: program(testVersion)}}, ""},
		"a path upwards": {[]member{{name: "../evil", body: "x"}, {name: "fnb.exe", body: program(testVersion)}}, "has a path that leads out of it"},
		"no program":     {[]member{{name: "fnb", body: program(testVersion)}}, "does not have the program fnb.exe once"},
	} {
		archive := zipOf(t, tt.members)
		file := "fnb_" + testVersion + "_windows_amd64.zip"
		page := pageOfReleases{file: archive, "checksums.txt": []byte(sumOf(archive) + "  " + file + "\n")}
		got := installation{args: []string{testVersion, "--base", page.serve(t)}, env: []string{machine(t, "MINGW64_NT-10.0-26200", "x86_64", "")}}.run(t)
		if tt.stderr == "" && (got.code != 0 || left(t, got.home) != ".local/bin/fnb.exe") {
			t.Errorf("%s: %+v left %q", name, got, left(t, got.home))
		}
		if tt.stderr != "" && (got.code != 1 || !strings.Contains(got.stderr, tt.stderr) || left(t, got.home) != "") {
			t.Errorf("%s: %+v left %q", name, got, left(t, got.home))
		}
	}
}

// TestInstallWhere: root must name the folder; one that cannot be written to is said, and so is
// another fnb that comes first.
func TestInstallWhere(t *testing.T) {
	t.Parallel()
	base := newPage(tarOf(t, testRelease)).serve(t)
	if os.Geteuid() == 0 {
		got := installation{args: []string{testVersion, "--base", base}, asRoot: true}.run(t)
		if got.code != 2 || !strings.Contains(got.stderr, "it runs as root, so name the folder: --to /usr/local/bin") || left(t, got.home) != "" {
			t.Errorf("as root: %+v", got)
		}
		got = installation{args: []string{testVersion, "--base", base, "--to", "bin"}, asRoot: true}.run(t)
		if got.code != 0 || left(t, got.home) != "bin/fnb" {
			t.Errorf("as root, --to bin: %+v", got)
		}
	}
	relative := installation{args: []string{testVersion, "--base", base, "--to", "host.example:dir"}}.run(t)
	if relative.code != 0 || left(t, relative.home) != "host.example:dir/fnb" || !strings.Contains(relative.stderr, `export PATH="/`) {
		t.Errorf("a folder that could be another machine's: %+v", relative)
	}
	closed := openFolder(t)
	if err := os.Chmod(closed, 0o555); err != nil {
		t.Fatal(err)
	}
	got := installation{args: []string{testVersion, "--base", base, "--to", closed}}.run(t)
	if got.code != 1 || !strings.Contains(got.stderr, "cannot write to "+closed+": name another folder with --to DIR") {
		t.Errorf("a folder that may only be read: %+v", got)
	}
	got = installation{args: []string{testVersion, "--base", base, "--to", closed + "/bin"}}.run(t)
	if got.code != 1 || !strings.Contains(got.stderr, "cannot make the folder "+closed+"/bin") {
		t.Errorf("a folder in one: %+v", got)
	}
	home := openFolder(t)
	if err := os.MkdirAll(home+"/.local/bin/fnb", 0o777); err != nil {
		t.Fatal(err)
	}
	got = installation{args: []string{testVersion, "--base", base}, home: home}.run(t)
	if got.code != 1 || !strings.Contains(got.stderr, "/.local/bin/fnb is a folder") {
		t.Errorf("a folder of that name: %+v", got)
	}
	other := openFolder(t)
	if err := os.WriteFile(other+"/fnb", []byte(program("0.1.0")), 0o755); err != nil {
		t.Fatal(err)
	}
	home = openFolder(t)
	got = installation{args: []string{testVersion, "--base", base}, home: home, env: []string{"PATH=" + other + ":" + home + "/.local/bin:" + os.Getenv("PATH")}}.run(t)
	if got.code != 0 || got.stderr != "install.sh: another fnb comes first: "+other+"/fnb\n" {
		t.Errorf("another fnb: %+v", got)
	}
	got = installation{args: []string{testVersion, "--base", base}, env: []string{"HOME="}}.run(t)
	if got.code != 2 || !strings.Contains(got.stderr, "HOME is not set") {
		t.Errorf("no home: %+v", got)
	}
}

// TestInstallNeeds: what is missing is said before anything is asked for.
func TestInstallNeeds(t *testing.T) {
	t.Parallel()
	for want, tools := range map[string][]string{
		"neither curl nor wget is installed":                                   {"sha256sum", "tar"},
		"neither sha256sum nor shasum is installed, so nothing can be checked": {"curl", "tar"},
		"tar is not installed":                                                 {"curl", "sha256sum"},
	} {
		got := installation{shell: []string{"/bin/sh"}, args: []string{testVersion, "--base", "https://example.com"}, env: []string{toolsOnly(t, false, tools...)}}.run(t)
		if got.code != 1 || got.stderr != "install.sh: "+want+"\n" || left(t, got.home) != "" {
			t.Errorf("%s: %+v", want, got)
		}
	}
}

// TestInstallIsInterrupted ends the script in the middle of a download, as Ctrl-C does.
func TestInstallIsInterrupted(t *testing.T) {
	t.Parallel()
	archive := tarOf(t, testRelease)
	for sig, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		begun := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(archive)))
			_, _ = w.Write(archive[:len(archive)/2])
			_ = http.NewResponseController(w).Flush()
			close(begun)
			<-r.Context().Done()
		}))
		i := installation{args: []string{testVersion, "--base", s.URL}}
		cmd := i.command(t)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-begun
		if err := syscall.Kill(-cmd.Process.Pid, sig); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // its code is below
		s.Close()
		if got := cmd.ProcessState.ExitCode(); got != code || left(t, i.home) != "" {
			t.Errorf("%v: it ended with %d, and left %q", sig, got, left(t, i.home))
		}
	}
}

// TestHalfAScript: what arrives of the script, if the rest does not, does nothing.
func TestHalfAScript(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../install.sh")
	if err != nil {
		t.Fatal(err)
	}
	base := newPage(tarOf(t, testRelease)).folder(t)
	for n := 1; n < 20; n++ {
		got := installation{script: string(data[:len(data)*n/20]), args: []string{testVersion, "--base", base}}.run(t)
		if got.stdout != "" || left(t, got.home) != "" {
			t.Errorf("%d/20 of the script: %+v left %q", n, got, left(t, got.home))
		}
	}
}

// TestShellcheck reads every shell script that fnb brings along or writes.
func TestShellcheck(t *testing.T) {
	t.Parallel()
	shells(t) // shellcheck is there
	check := func(name, shell string, script []byte) {
		cmd := exec.CommandContext(t.Context(), "shellcheck", "--shell", shell, "-")
		cmd.Stdin = bytes.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	found := 0
	for _, pattern := range []string{"install.sh", "setup/*.sh", "internal/ci/pipelines/*.sh", "tools/*", "tools/hooks/*", ".ci/run"} {
		paths, err := filepath.Glob("../../" + pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: no script, %v", pattern, err)
		}
		for _, path := range paths {
			if filepath.Ext(path) != ".sh" {
				if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
					continue // a module, or one of its files
				}
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			shell := "sh" // a part of a pipeline has no first line that says it
			if first, _, _ := strings.Cut(string(data), "\n"); strings.HasSuffix(first, "bash") {
				shell = "bash"
			}
			check(path, shell, data)
			found++
		}
	}
	for _, host := range StoreHosts() {
		files, err := NewStore{Host: host, Name: "ours", Title: "Ours", Branch: "main"}.Files()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f.Path, ".sh") {
				check(host+" "+f.Path, "bash", f.Data)
				found++
			}
		}
	}
	if found < 13 {
		t.Errorf("only %d scripts were read", found)
	}
}

// BenchmarkSetup measures the step that sets fnb up, from a mirror on this machine, with an archive
// as large as fnb's. It must take 5 seconds at most; cpu-s is what it takes of a processor, whatever else the
// machine does.
func BenchmarkSetup(b *testing.B) {
	noise := make([]byte, 28<<20)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(noise) // it never fails
	archive := tarOf(b, []member{{name: "fnb", body: program(testVersion) + "exit\n" + string(noise) + strings.Repeat("\x00", 34<<20)}})
	page := newPage(archive)
	base := page.serve(b)
	script, err := filepath.Abs("../../setup/setup.sh")
	if err != nil {
		b.Fatal(err)
	}
	var busy time.Duration
	for b.Loop() {
		dir := b.TempDir()
		cmd := exec.CommandContext(b.Context(), "sh", script)
		cmd.Env = append(os.Environ(), "RUNNER_TEMP="+dir, "GITHUB_PATH="+dir+"/path", "GITHUB_OUTPUT="+dir+"/output",
			"VERSION="+testVersion, "BASE="+base, "SHA256="+sumOf(page["checksums.txt"]))
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		busy += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	if each := b.Elapsed() / time.Duration(b.N); each > 5*time.Second {
		b.Errorf("it took %v", each)
	}
	b.ReportMetric(busy.Seconds()/float64(b.N), "cpu-s/op")
}
