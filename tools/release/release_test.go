package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

const epoch = "1700000000"

// checkout is a folder with what a release takes from a checkout. Its files have the time and the mode that they happen to have.
func checkout(t *testing.T, module string, mode os.FileMode, at time.Time) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module " + module + "\n\ngo 1.26.8\n", "LICENSE": "MIT License\n", "README.md": "# fnb\n", "CHANGELOG.md": "# Changes\n",
		"docs/man/fnb.1": ".TH FNB 1\n", "docs/man/fnb-build.1": ".TH FNB-BUILD 1\n",
		"bin/fwatchdog-linux-amd64": "the watchdog", "bin/fwatchdog-linux-arm64": "the watchdog for arm64",
		"install.sh": "#!/bin/sh\n# It has a release=''.\nrelease=''\nreleases=''\n",
		"program":    "#!/bin/sh\necho \"$@\"\n",
	} {
		path := filepath.Join(root, name)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode), os.Chtimes(path, at, at))
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// packed is a release of programs that are none.
func packed(t *testing.T, version, module string, mode os.FileMode, at time.Time) *release {
	t.Helper()
	root := checkout(t, module, mode, at)
	r, err := newRelease(version, epoch, root, filepath.Join(root, "dist"))
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(root, "program")
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	x, err := r.extras(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	x.bill = []byte("{}\n")
	programs := map[platform]string{}
	list, err := parsePlatforms(strings.Join(defaultPlatforms(), ","))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		programs[p] = program
	}
	if err := r.pack(programs, x); err != nil {
		t.Fatal(err)
	}
	return r
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestTwice holds that a release is the same bytes from another folder, with other times and modes of its files.
func TestTwice(t *testing.T) {
	t.Parallel()
	a := packed(t, "v1.2.3", "github.com/acme/fnb", 0o644, time.Unix(1600000000, 0))
	b := packed(t, "v1.2.3", "github.com/acme/fnb", 0o600, time.Now())
	for _, dir := range []string{"v1.2.3", "manifests"} {
		one, err := os.ReadDir(filepath.Join(a.out, dir))
		if err != nil {
			t.Fatal(err)
		}
		if two, err := os.ReadDir(filepath.Join(b.out, dir)); err != nil || len(two) != len(one) {
			t.Errorf("%s: %d files and %d, %v", dir, len(one), len(two), err)
		}
		for _, e := range one {
			if !bytes.Equal(read(t, filepath.Join(a.out, dir, e.Name())), read(t, filepath.Join(b.out, dir, e.Name()))) {
				t.Errorf("%s/%s differs", dir, e.Name())
			}
		}
	}
}

// TestPage holds the names that installers rely on, and what is in the archives.
func TestPage(t *testing.T) {
	t.Parallel()
	r := packed(t, "v1.2.3", "github.com/acme/fnb", 0o600, time.Now())
	want := []string{
		"fnb-1.2.3-1.aarch64.rpm", "fnb-1.2.3-1.x86_64.rpm", "fnb_1.2.3.spdx.json", "fnb_1.2.3_aarch64.apk", "fnb_1.2.3_amd64.deb", "fnb_1.2.3_arm64.deb",
		"fnb_1.2.3_darwin_amd64.tar.gz", "fnb_1.2.3_darwin_arm64.tar.gz", "fnb_1.2.3_linux_amd64.tar.gz", "fnb_1.2.3_linux_arm64.tar.gz",
		"fnb_1.2.3_windows_amd64.zip", "fnb_1.2.3_windows_arm64.zip", "fnb_1.2.3_x86_64.apk", "install.sh",
	}
	var sums []string
	for _, name := range want {
		sums = append(sums, fmt.Sprintf("%x  %s\n", sha256.Sum256(read(t, filepath.Join(r.page(), name))), name))
	}
	if got := string(read(t, filepath.Join(r.page(), "checksums.txt"))); got != strings.Join(sums, "") {
		t.Errorf("checksums.txt is\n%s", got)
	}
	contains(t, string(read(t, filepath.Join(r.page(), "install.sh"))), "# It has a release=''.\nrelease='1.2.3'\nreleases='https://github.com/acme/fnb/releases/download'\n")
	rest := "-rw-r--r-- LICENSE\n-rw-r--r-- README.md\n-rw-r--r-- CHANGELOG.md\n-rw-r--r-- man/fnb-build.1\n-rw-r--r-- man/fnb.1\n" +
		"-rw-r--r-- completions/fnb.bash\n-rw-r--r-- completions/_fnb\n-rw-r--r-- completions/fnb.fish\n-rw-r--r-- completions/fnb.ps1\n"
	for name, want := range map[string]string{
		"fnb_1.2.3_linux_amd64.tar.gz":  "-rwxr-xr-x fnb\n-rwxr-xr-x fwatchdog\n" + rest,
		"fnb_1.2.3_darwin_arm64.tar.gz": "-rwxr-xr-x fnb\n" + rest,
		"fnb_1.2.3_windows_amd64.zip":   "-rwxr-xr-x fnb.exe\n" + rest,
	} {
		if got := list(t, filepath.Join(r.page(), name)); got != want {
			t.Errorf("%s has\n%s", name, got)
		}
	}
}

// list lists the files of an archive, and checks that they are of the release's time and nobody's.
func list(t *testing.T, path string) string {
	t.Helper()
	var b strings.Builder
	line := func(mode os.FileMode, name string, at time.Time) {
		fmt.Fprintln(&b, mode, name)
		if at.Unix() != 1700000000 {
			t.Errorf("%s in %s is of %v", name, path, at)
		}
	}
	if strings.HasSuffix(path, ".zip") {
		z, err := zip.OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		for _, f := range z.File {
			line(f.Mode(), f.Name, f.Modified)
		}
		return b.String()
	}
	for _, h := range headers(t, read(t, path)) {
		line(h.FileInfo().Mode(), h.Name, h.ModTime)
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" {
			t.Errorf("%s in %s is of %d:%d %q", h.Name, path, h.Uid, h.Gid, h.Uname)
		}
	}
	return b.String()
}

// headers are those of a compressed tar, or of several, one behind another.
func headers(t *testing.T, data []byte) []*tar.Header {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var all []*tar.Header
	for in := tar.NewReader(z); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, h)
	}
}

// installedFiles are what every package installs, but for the folder of zsh.
func installedFiles(doc, zsh string) []string {
	all := []string{
		"/usr/bin/fnb", "/usr/share/bash-completion/completions/fnb", "/usr/share/doc/fnb/CHANGELOG.md", "/usr/share/doc/fnb/README.md", "/usr/share/doc/fnb/" + doc,
		"/usr/share/fish/vendor_completions.d/fnb.fish", "/usr/share/man/man1/fnb-build.1", "/usr/share/man/man1/fnb.1", zsh + "/_fnb",
	}
	slices.Sort(all)
	return all
}

// command runs a program that reads packages. One that is missing skips the test, unless FNB_REQUIRE names it.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if slices.Contains(strings.Split(os.Getenv("FNB_REQUIRE"), ","), name) {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func contains(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in\n%s", w, text)
		}
	}
}

// TestDeb reads a package as Debian does.
func TestDeb(t *testing.T) {
	t.Parallel()
	r := packed(t, "v1.2.3-rc.1", "github.com/acme/fnb", 0o600, time.Now())
	deb := filepath.Join(r.page(), "fnb_1.2.3-rc.1_arm64.deb")
	contains(t, command(t, "dpkg-deb", "--info", deb), "Package: fnb\n", "Version: 1.2.3~rc.1\n", "Architecture: arm64\n", "Depends: ca-certificates, runc | crun\n",
		"Recommends: rootlesskit, uidmap\n", "Homepage: https://github.com/acme/fnb\n", "Description: build functions into container images\n")
	var got []string
	for line := range strings.Lines(command(t, "dpkg-deb", "--contents", deb)) {
		if f := strings.Fields(line); !strings.HasPrefix(line, "d") {
			got = append(got, strings.TrimPrefix(f[5], "."))
			mode := "-rw-r--r--"
			if strings.HasSuffix(f[5], "/bin/fnb") {
				mode = "-rwxr-xr-x"
			}
			if f[0] != mode || f[1] != "root/root" || f[3] != "2023-11-14" {
				t.Errorf("%s", line)
			}
		}
	}
	slices.Sort(got)
	if want := installedFiles("copyright", "/usr/share/zsh/vendor-completions"); !slices.Equal(got, want) {
		t.Errorf("it has %q, want %q", got, want)
	}
}

// TestRPM reads a package as Fedora does.
func TestRPM(t *testing.T) {
	t.Parallel()
	r := packed(t, "v1.2.3", "github.com/acme/fnb", 0o600, time.Now())
	rpm := filepath.Join(r.page(), "fnb-1.2.3-1.x86_64.rpm")
	contains(t, strings.ReplaceAll(command(t, "rpm", "-qip", rpm), " ", ""), "Name:fnb\n", "Version:1.2.3\n", "Release:1\n", "Architecture:x86_64\n", "License:MIT\n",
		"Summary:buildfunctionsintocontainerimages\n", "URL:https://github.com/acme/fnb\n", "BuildHost:localhost\n", "22:13:202023")
	contains(t, command(t, "rpm", "-qp", "--recommends", rpm), "runc\n", "shadow-utils\n")
	contains(t, command(t, "rpm", "-qp", "--requires", rpm), "ca-certificates\n")
	got := strings.Fields(command(t, "rpm", "-qlp", rpm))
	slices.Sort(got)
	if want := installedFiles("LICENSE", "/usr/share/zsh/site-functions"); !slices.Equal(got, want) {
		t.Errorf("it has %q, want %q", got, want)
	}
	command(t, "rpm", "-K", "--nosignature", rpm) // its own checksums hold
}

// TestAPK reads a package as what it is: tars, one behind another. The first says what the package is.
func TestAPK(t *testing.T) {
	t.Parallel()
	r := packed(t, "v1.2.3", "github.com/acme/fnb", 0o600, time.Now())
	data := read(t, filepath.Join(r.page(), "fnb_1.2.3_x86_64.apk"))
	rest := bytes.NewReader(data)
	z, err := gzip.NewReader(rest)
	if err != nil {
		t.Fatal(err)
	}
	z.Multistream(false)
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	// apk installs the second only if it is what the first says.
	contains(t, string(text), fmt.Sprintf("datahash = %x\n", sha256.Sum256(data[len(data)-rest.Len():])))
	contains(t, string(text), "pkgname = fnb\n", "pkgver = 1.2.3\n", "pkgdesc = build functions into container images\nurl = ", "arch = x86_64\n", "license = MIT\n", "depend = ca-certificates\n", "depend = runc\n")
	var got []string
	for _, h := range headers(t, data) {
		if h.Typeflag == tar.TypeReg && h.Name != ".PKGINFO" {
			got = append(got, "/"+h.Name)
		}
	}
	slices.Sort(got)
	if want := installedFiles("LICENSE", "/usr/share/zsh/site-functions"); !slices.Equal(got, want) {
		t.Errorf("it has %q, want %q", got, want)
	}
}

// TestInstall holds that "make install" installs what a package does, but for the documents, and that "make uninstall" removes it.
func TestInstall(t *testing.T) {
	t.Parallel()
	root, dest := checkout(t, "fnb", 0o600, time.Now()), t.TempDir()
	program := filepath.Join(root, "program")
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	command(t, "make", "-s", "-C", "../..", "install", "FNB="+program, "DESTDIR="+dest, "PREFIX=/usr")
	for _, name := range installedFiles("LICENSE", "/usr/share/zsh/site-functions") {
		info, err := os.Stat(filepath.Join(dest, name))
		if strings.Contains(name, "/doc/") != errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (info.Mode()&0o111 != 0) != strings.HasSuffix(name, "/bin/fnb") {
			t.Errorf("%s is %v", name, info.Mode())
		}
	}
	command(t, "make", "-s", "-C", "../..", "uninstall", "DESTDIR="+dest, "PREFIX=/usr")
	for _, name := range installedFiles("LICENSE", "/usr/share/zsh/site-functions") {
		if _, err := os.Stat(filepath.Join(dest, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there after make uninstall: %v", name, err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "make", "-s", "-C", "../..", "install", "FNB=nowhere", "DESTDIR="+dest)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "install: nowhere is missing; build it with: make build") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestManifests holds that what package managers read leads to the archives, with their checksums.
func TestManifests(t *testing.T) {
	t.Parallel()
	r := packed(t, "v1.2.3", "github.com/acme/fnb", 0o600, time.Now())
	const base = "https://github.com/acme/fnb/releases/download/v1.2.3/"
	sums := map[string]string{}
	for line := range strings.Lines(string(read(t, filepath.Join(r.page(), "checksums.txt")))) {
		f := strings.Fields(line)
		sums[base+f[1]] = f[0]
	}

	var scoop struct {
		Version      string
		Bin          string
		Architecture map[string]struct{ URL, Hash string }
	}
	if err := json.Unmarshal(read(t, filepath.Join(r.manifests(), "fnb.json")), &scoop); err != nil {
		t.Fatal(err)
	}
	if scoop.Version != "1.2.3" || scoop.Bin != "fnb.exe" || len(scoop.Architecture) != 2 {
		t.Errorf("%+v", scoop)
	}
	for arch, a := range scoop.Architecture {
		if sums[a.URL] != a.Hash {
			t.Errorf("Scoop, %s: %s has another checksum than %s", arch, a.URL, a.Hash)
		}
	}

	for _, name := range []string{"acme.fnb.yaml", "acme.fnb.installer.yaml", "acme.fnb.locale.en-US.yaml"} {
		var winget struct {
			ID         string `yaml:"PackageIdentifier"`
			Version    string `yaml:"PackageVersion"`
			Type       string `yaml:"ManifestType"`
			Installers []struct {
				URL string `yaml:"InstallerUrl"`
				Sum string `yaml:"InstallerSha256"`
			} `yaml:"Installers"`
		}
		if err := yaml.Unmarshal(read(t, filepath.Join(r.manifests(), name)), &winget); err != nil {
			t.Fatal(err)
		}
		if winget.ID != "acme.fnb" || winget.Version != "1.2.3" || winget.Type == "" || (winget.Type == "installer") != (len(winget.Installers) == 2) {
			t.Errorf("%s: %+v", name, winget)
		}
		for _, i := range winget.Installers {
			if sums[i.URL] != i.Sum {
				t.Errorf("winget: %s has another checksum than %s", i.URL, i.Sum)
			}
		}
	}

	cask := string(read(t, filepath.Join(r.manifests(), "fnb.rb")))
	contains(t, cask, "version \"1.2.3\"\n", "homepage \"https://github.com/acme/fnb\"\n", "manpage \"man/fnb-build.1\"\n")
	leads := regexp.MustCompile(`sha256 "([0-9a-f]{64})"\s+url "([^"]+)"`).FindAllStringSubmatch(cask, -1)
	if len(leads) != 4 {
		t.Errorf("the cask leads to %d archives", len(leads))
	}
	for _, l := range leads {
		if sums[l[2]] != l[1] {
			t.Errorf("Homebrew: %s has another checksum than %s", l[2], l[1])
		}
	}
	if blocks, ends := strings.Count(cask, " do\n"), len(regexp.MustCompile(`(?m)^\s*end$`).FindAllString(cask, -1)); blocks != ends {
		t.Errorf("the cask has %d blocks and %d ends", blocks, ends)
	}
}

// TestSome makes a release of one platform: the manifests need others, and are not written.
func TestSome(t *testing.T) {
	t.Parallel()
	root := checkout(t, "fnb", 0o600, time.Now())
	r, err := newRelease("v0.1.0", epoch, root, filepath.Join(root, "dist"))
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	r.log = &said
	if err := r.pack(map[platform]string{{"darwin", "arm64"}: filepath.Join(root, "program")}, &extras{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(r.manifests()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("manifests: %v", err)
	}
	contains(t, string(read(t, filepath.Join(r.page(), "install.sh"))), "\nrelease='0.1.0'\nreleases=''\n")
	contains(t, said.String(), "fnb.rb is not written: it needs all of [darwin/amd64 ", "has 3 files", "tools/rename-module github.com/OWNER/fnb")
}

func TestBad(t *testing.T) {
	t.Parallel()
	root := checkout(t, "fnb", 0o600, time.Now())
	for _, c := range []struct{ version, epoch, platforms, want string }{
		{"", epoch, "", `-version "" is not like v1.2.3`},
		{"1.2.3", epoch, "", `-version "1.2.3" is not like`},
		{"v1.2", epoch, "", "is not like"},
		{"v1.2.3+meta", epoch, "", "is not like"},
		{"v1.2.3/..", epoch, "", "is not like"},
		{"v1.2.3", "", "", `SOURCE_DATE_EPOCH="" is not a number of seconds; the commit's is: git log`},
		{"v1.2.3", "-1", "", "is not a number of seconds"},
		{"v1.2.3", epoch, "plan9/amd64", `fnb is not released for "plan9/amd64"; it is for linux/amd64, `},
		{"v1.2.3", epoch, " ,", "-platforms names none"},
	} {
		args := []string{"-root", root, "-out", filepath.Join(root, "dist"), "-version", c.version}
		if c.platforms != "" {
			args = append(args, "-platforms", c.platforms)
		}
		if err := run(t.Context(), args, c.epoch, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, not %q", args, err, c.want)
		}
	}
	r, err := newRelease("v1.2.3", epoch, root, filepath.Join(root, "dist"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "bin/fwatchdog-linux-arm64")); err != nil {
		t.Fatal(err)
	}
	err = r.pack(map[platform]string{{"linux", "arm64"}: filepath.Join(root, "program")}, &extras{})
	if err == nil || !strings.Contains(err.Error(), "archive for linux/arm64: ") || !strings.Contains(err.Error(), "make it with: make watchdog") {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(root, "install.sh"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err = r.pack(map[platform]string{{"darwin", "arm64"}: filepath.Join(root, "program")}, &extras{})
	if err == nil || !strings.Contains(err.Error(), "install.sh has not one line release='' to fill in") {
		t.Error(err)
	}
	if err := os.RemoveAll(filepath.Join(root, "docs")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.extras(t.Context(), "true"); err == nil || !strings.Contains(err.Error(), "make docs") {
		t.Error(err)
	}
}

func TestRepository(t *testing.T) {
	t.Parallel()
	for module, want := range map[string][2]string{
		"fnb":                   {"https://github.com/OWNER/fnb", "OWNER"},
		"github.com/acme/fnb":   {"https://github.com/acme/fnb", "acme"},
		"codeberg.org/acme/fnb": {"https://codeberg.org/acme/fnb", "acme"},
		"example/acme/fnb":      {"https://github.com/OWNER/fnb", "OWNER"},
	} {
		if home, owner := repository(module); home != want[0] || owner != want[1] {
			t.Errorf("%s: %s of %s", module, home, owner)
		}
	}
}
