package main

import (
	"embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed manifests
var manifestTemplates embed.FS

// manifests is the folder of the files that repositories of package managers have: a Homebrew tap, a Scoop bucket,
// winget's.
func (r *release) manifests() string { return filepath.Join(r.out, "manifests") }

// A manifest is what their templates are given.
type manifest struct {
	Version, Home, Owner, Summary, Description string
	Date                                       string // of the release
	Man                                        []string
	release                                    *release
	sums                                       map[string]string
}

// URL is where a platform's archive is.
func (m manifest) URL(os, arch string) string {
	return m.release.url(m.release.archiveName(platform{os, arch}))
}

// Sum is the checksum of a platform's archive.
func (m manifest) Sum(os, arch string) string {
	return m.sums[m.release.archiveName(platform{os, arch})]
}

// writeManifests writes the manifests, if the release has the platforms that they lead to.
func (r *release) writeManifests(sums map[string]string, x *extras) error {
	m := manifest{Version: r.version, Home: r.home, Owner: r.owner, Summary: summary, Description: description, Date: r.time.Format("2006-01-02"), release: r, sums: sums}
	for _, page := range x.man {
		m.Man = append(m.Man, page.name)
	}
	for name, needs := range map[string][]platform{
		"fnb.rb":                      {{"darwin", "amd64"}, {"darwin", "arm64"}, {"linux", "amd64"}, {"linux", "arm64"}},
		"fnb.json":                    {{"windows", "amd64"}, {"windows", "arm64"}},
		"OWNER.fnb.yaml":              {{"windows", "amd64"}, {"windows", "arm64"}},
		"OWNER.fnb.installer.yaml":    {{"windows", "amd64"}, {"windows", "arm64"}},
		"OWNER.fnb.locale.en-US.yaml": {{"windows", "amd64"}, {"windows", "arm64"}},
	} {
		missing := false
		for _, p := range needs {
			missing = missing || sums[r.archiveName(p)] == ""
		}
		if missing {
			fmt.Fprintf(r.log, "release: %s is not written: it needs all of %v\n", name, needs)
			continue
		}
		t, err := template.New(name+".tmpl").Option("missingkey=error").ParseFS(manifestTemplates, "manifests/"+name+".tmpl")
		if err != nil {
			return err
		}
		path := filepath.Join(r.manifests(), strings.Replace(name, noOwner, r.owner, 1))
		if err := writeTo(path, func(w io.Writer) error { return t.Execute(w, m) }); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
	}
	return removeEmpty(r.manifests())
}

// installScript puts install.sh on the release page. In it are the version and, if there is one, the page of releases.
func (r *release) installScript() error {
	text, err := os.ReadFile(filepath.Join(r.root, "install.sh"))
	if err != nil {
		return err
	}
	fill := [][2]string{{"release", r.version}}
	if r.owner != noOwner {
		fill = append(fill, [2]string{"releases", r.home + "/releases/download"})
	}
	script := string(text)
	for _, f := range fill {
		line := "\n" + f[0] + "=''\n"
		if strings.Count(script, line) != 1 {
			return fmt.Errorf("install.sh has not one line %s='' to fill in", f[0])
		}
		script = strings.Replace(script, line, "\n"+f[0]+"='"+f[1]+"'\n", 1)
	}
	return os.WriteFile(filepath.Join(r.page(), "install.sh"), []byte(script), 0o644)
}

// removeEmpty removes a folder in which nothing was written.
func removeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		return err
	}
	return os.Remove(dir)
}
