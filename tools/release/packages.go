package main

import (
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/apk" // each of them adds its format to nfpm
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// A format is a kind of package: how it names its files, and what its system calls the programs that fnb needs.
type format struct {
	name       string
	file       string            // VERSION and ARCH are put into it
	arch       map[string]string // by Go's name
	zsh        string            // where zsh looks for completions
	depends    []string
	recommends []string
}

// formats are the kinds of packages. fnb's builder runs steps with runc or crun, and without root needs rootlesskit and
// newuidmap. Another builder needs none of it.
func formats() []format {
	return []format{
		{
			name: "deb", file: "fnb_VERSION_ARCH.deb", arch: map[string]string{"amd64": "amd64", "arm64": "arm64"},
			zsh: "/usr/share/zsh/vendor-completions", depends: []string{"ca-certificates", "runc | crun"}, recommends: []string{"rootlesskit", "uidmap"},
		},
		{
			name: "rpm", file: "fnb-VERSION-1.ARCH.rpm", arch: map[string]string{"amd64": "x86_64", "arm64": "aarch64"},
			zsh: "/usr/share/zsh/site-functions", depends: []string{"ca-certificates"}, recommends: []string{"runc", "shadow-utils"},
		},
		{ // Alpine's packages recommend nothing
			name: "apk", file: "fnb_VERSION_ARCH.apk", arch: map[string]string{"amd64": "x86_64", "arm64": "aarch64"},
			zsh: "/usr/share/zsh/site-functions", depends: []string{"ca-certificates", "runc"},
		},
	}
}

// pkg makes a package for a platform of Linux. nfpm reads files from the disk, so they are laid out first.
func (r *release) pkg(f format, p platform, program string, x *extras) error {
	layout, err := os.MkdirTemp("", "fnb-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(layout)
	installed, err := programs(p, program)
	if err != nil {
		return err
	}
	contents := files.Contents{}
	for _, file := range r.installed(f, installed, x) {
		from := filepath.Join(layout, filepath.FromSlash(file.name))
		if err := os.MkdirAll(filepath.Dir(from), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(from, file.data, 0o600); err != nil {
			return err
		}
		contents = append(contents, &files.Content{
			Source: from, Destination: file.name,
			FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: file.mode, MTime: r.time},
		})
	}
	packager, err := nfpm.Get(f.name)
	if err != nil {
		return err
	}
	about := summary + "\n" + description
	if f.name == "apk" {
		about = summary // apk reads a line
	}
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: "fnb", Arch: p.arch, Platform: "linux", Version: r.version, Section: "devel", Priority: "optional",
		Maintainer: "The fnb authors", Vendor: "The fnb authors", License: "MIT", Homepage: r.home, MTime: r.time, DisableGlobbing: true,
		Description: about,
		Overridables: nfpm.Overridables{
			Depends: f.depends, Recommends: f.recommends, Contents: contents,
			RPM: nfpm.RPM{BuildHost: "localhost", Summary: summary},
		},
	})
	name := strings.NewReplacer("VERSION", r.version, "ARCH", f.arch[p.arch]).Replace(f.file)
	return writeTo(filepath.Join(r.page(), name), func(w io.Writer) error { return packager.Package(info, w) })
}

const (
	summary     = "build functions into container images"
	description = "fnb turns a few lines of code and a template into a container image, and pushes it to a registry. It brings its own builder and needs no Docker."
)

// installed are the files of a package, by where they are installed.
func (r *release) installed(f format, programs []file, x *extras) []file {
	var all []file
	add := func(dir string, list ...file) {
		for _, f := range list {
			all = append(all, f.in(dir))
		}
	}
	add("/usr/bin", programs...)
	add("/usr/share/man/man1", x.man...)
	for _, d := range x.documents {
		if d.name == "LICENSE" && f.name == "deb" {
			d.name = "copyright" // Debian's name for it
		}
		add("/usr/share/doc/fnb", d)
	}
	for _, c := range x.completions {
		switch path.Ext(c.name) {
		case ".bash":
			c.name = "fnb"
			add("/usr/share/bash-completion/completions", c)
		case ".fish":
			add("/usr/share/fish/vendor_completions.d", c)
		case "":
			add(f.zsh, c)
		}
	}
	return all
}
