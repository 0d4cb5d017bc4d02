package site

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/schema/words"
	"fnb/store/records"
)

const (
	maxFile     = 64_000    // bytes of a file that are shown
	maxFiles    = 40        // of one part
	maxShown    = 1_000_000 // bytes of all files of a page
	maxVersions = 200
)

// Files are the files of a template, and what they say.
type Files struct {
	schema.Template
	FS fs.FS
}

// Summary returns the entry of the list for a package of a store.
func Summary(p records.Package) Item {
	newest := p.Newest()
	i := Item{
		Kind: p.Kind, Name: p.Name, Version: newest.Version, Title: newest.Title, Description: cmp.Or(p.About.Description, newest.Description),
		Language: newest.Language, Tags: slices.Concat(newest.Categories, p.About.Tags), Platforms: newest.RunsOn(), Store: p.Store,
	}
	slices.Sort(i.Tags)
	i.Tags = slices.Compact(i.Tags)
	if newest.Published != nil {
		i.Published = newest.Published.UTC()
	}
	switch {
	case newest.Yanked != nil:
		i.Mark = "yanked"
	case p.About.Deprecated != nil:
		i.Mark = "deprecated"
	}
	return i
}

// Describe returns what the page of a package shows. Files are those of its newest
// version, nil where they are not at hand.
func Describe(p records.Package, files *Files) Detail {
	newest := p.Newest()
	d := Detail{Item: Summary(p), Retired: Retired{Deprecated: p.About.Deprecated}}
	if newest.Yanked != nil {
		d.YankText = yankText(*newest.Yanked)
	}
	for _, v := range slices.Backward(p.Versions) {
		d.Versions = append(d.Versions, describeVersion(v))
	}
	d.Facts = recordFacts(newest.Record)
	if newest.Signer != nil {
		d.Facts = append(d.Facts, Fact{Name: "Signed by", Value: newest.Signer.String()})
	}
	if p.Kind == KindFunction {
		d.function(newest.Record)
		return d
	}
	d.Commands = templateCommands(p.Name, newest.Version)
	if files != nil {
		d.files(*files)
	} else {
		d.Parts = recordParts(newest.Parts)
	}
	return d
}

// DescribeFiles returns what the page of a template shows that is in no store.
func DescribeFiles(i Item, files Files) Detail {
	m := files.Manifest
	i.Kind, i.Version, i.Language, i.Description = KindTemplate, m.Version, m.Language, m.Description
	i.Platforms = platformNames(m.Platforms)
	d := Detail{Item: i, Commands: templateCommands(i.Name, "")}
	d.Facts = facts(
		Fact{Name: "From", Value: i.Store}, Fact{Name: "Licence", Value: m.License},
		Fact{Name: "Platforms", Value: strings.Join(i.Platforms, ", ")},
	)
	d.files(files)
	return d
}

func platformNames(all schema.Platforms) []string {
	var names []string
	for _, p := range all {
		names = append(names, p.String())
	}
	return names
}

func templateCommands(name, version string) []Command {
	all := []Command{
		{Title: "Begin a function with it", Text: "fnb new hello --lang " + name},
		{Title: "See its four parts in a terminal", Text: "fnb template show " + name},
	}
	if major, _, ok := strings.Cut(version, "."); ok && major != "0" {
		all = append(all, Command{Title: "In stack.yaml, any version that is compatible with this one", Text: "lang: " + name + "@^" + version})
	}
	return all
}

func yankText(y schema.Yank) string {
	parts := []string{y.Reason}
	if y.Severity != "" {
		parts = append(parts, "("+y.Severity+")")
	}
	if y.By != "" {
		parts = append(parts, "by "+y.By)
	}
	if y.At != nil {
		parts = append(parts, "on "+y.At.UTC().Format("2006-01-02"))
	}
	if y.Use != "" {
		parts = append(parts, "– use "+y.Use)
	}
	return strings.Join(parts, " ")
}

func describeVersion(v records.PackageVersion) Version {
	out := Version{Version: v.Version, Digest: v.Checksum, Refused: v.Refused}
	if v.Published != nil {
		out.Published = v.Published.UTC().Format("2006-01-02")
	}
	if v.Yanked != nil {
		out.Yanked = yankText(*v.Yanked)
	}
	if v.Image != nil {
		out.Digest = v.Image.Digest
	}
	for _, name := range v.RunsOn() {
		p := Platform{Name: name}
		if v.Image != nil {
			p.Size = v.Image.Platforms[name].Size
		}
		out.Platforms = append(out.Platforms, p)
	}
	return out
}

// facts are those that say something.
func facts(all ...Fact) []Fact {
	return slices.DeleteFunc(all, func(f Fact) bool { return f.Value == "" })
}

func recordFacts(r schema.Record) []Fact {
	published := ""
	if r.Published != nil {
		published = r.Published.UTC().Format("2006-01-02 15:04 UTC")
	}
	all := facts(
		Fact{Name: "Version", Value: r.Version}, Fact{Name: "Published", Value: published}, Fact{Name: "Licence", Value: r.License}, Fact{Name: "Author", Value: r.Author},
		Fact{Name: "Needs fnb", Value: r.FNB},
	)
	if r.Image == nil {
		all = append(all, gitFacts(r.Source.Git)...)
		return append(all, facts(
			Fact{Name: "Checksum", Value: r.Checksum, Code: true}, Fact{Name: "Platforms", Value: strings.Join(r.RunsOn(), ", ")})...)
	}
	all = append(all, facts(Fact{Name: "Image", Value: r.Image.Ref, Code: true}, Fact{Name: "Digest", Value: r.Image.Digest, Code: true})...)
	for _, name := range slices.Sorted(maps.Keys(r.Image.Platforms)) {
		p := r.Image.Platforms[name]
		value := p.Digest
		if p.Size > 0 {
			value = size(p.Size) + " " + value
		}
		all = append(all, facts(Fact{Name: name, Value: cmp.Or(value, p.Ref), Code: true})...)
	}
	all = append(all, evidence(r.Image)...)
	if b := r.Built; b != nil {
		all = append(all, facts(Fact{Name: "Built from template", Value: b.Template}, Fact{Name: "Template's checksum", Value: b.Checksum, Code: true})...)
		if b.Git != nil {
			all = append(all, gitFacts(*b.Git)...)
		}
	}
	if strings.HasPrefix(r.Icon, "https://") {
		all = append(all, Fact{Name: "Icon", Value: r.Icon, Link: r.Icon})
	}
	return all
}

// evidence is what was attached to an image when it was published.
func evidence(image *schema.RecordImage) []Fact {
	var lists []string
	for _, name := range slices.Sorted(maps.Keys(image.Platforms)) {
		if n := image.Platforms[name].Packages; n > 0 {
			lists = append(lists, plain.Count(n, "package", "packages")+" ("+name+")")
		}
	}
	return facts(
		Fact{Name: "SBOM", Value: strings.Join(lists, ", ")}, Fact{Name: "Provenance", Value: image.Provenance, Code: true},
		Fact{Name: "Image signed by", Value: strings.Join(image.SignedBy, ", "), Code: true})
}

func gitFacts(g schema.GitSource) []Fact {
	folder := g.Path
	if folder == "." {
		folder = ""
	}
	return facts(
		Fact{Name: "Source", Value: g.URL, Link: g.URL}, Fact{Name: "Folder", Value: folder, Code: true},
		Fact{Name: "Ref", Value: g.Ref, Code: true}, Fact{Name: "Commit", Value: g.Commit, Code: true})
}

// The four parts, as the page names them.
const (
	aboutDockerfile = "The base image with the runtime, and the steps of the build."
	aboutEntrypoint = "The program that calls the handler; the watchdog starts it."
	aboutHandler    = "The part that you write, and what you start from."
	aboutPackages   = "The dependencies, of the language and of the system."
)

// recordParts are the four parts as far as a record tells them.
func recordParts(r schema.RecordParts) []Part {
	var packages []Fact
	for _, l := range r.Packages {
		packages = append(packages, Fact{Name: l.Ecosystem, Value: strings.TrimSpace(l.Manifest + " " + l.Lock), Code: true})
	}
	return []Part{
		{Title: "Dockerfile", What: aboutDockerfile, Facts: facts(Fact{Name: "File", Value: cmp.Or(r.Dockerfile, "brought by the handler"), Code: r.Dockerfile != ""})},
		{Title: "Entrypoint", What: aboutEntrypoint, Facts: facts(
			Fact{Name: "fprocess", Value: r.Entrypoint.FProcess, Code: true}, Fact{Name: "Mode", Value: r.Entrypoint.Mode}, Fact{Name: "Watchdog", Value: r.Entrypoint.Watchdog})},
		{Title: "Handler", What: aboutHandler, Facts: facts(Fact{Name: "Folder", Value: r.Handler.Dir, Code: true})},
		{Title: "Package list", What: aboutPackages, Facts: packages},
	}
}

// files shows a template's four parts with their files, and its README.
func (d *Detail) files(f Files) {
	t := f.Template
	left := maxShown
	show := func(open bool, names ...string) []File {
		var all []File
		for _, name := range names[:min(len(names), maxFiles)] {
			file := readFile(f.FS, name, min(maxFile, left))
			file.Open = open
			left -= len(file.Text)
			all = append(all, file)
		}
		if more := len(names) - len(all); more > 0 {
			all = append(all, File{Path: "…", Note: fmt.Sprintf("%d more files are not shown.", more)})
		}
		return all
	}
	watchdog := "layered in by fnb"
	if t.Dockerfile.BringsWatchdog {
		watchdog = "brought by the Dockerfile"
	} else if w := t.Manifest.Watchdog; w != "" && w != words.WatchdogDefault {
		watchdog = w
	}
	var dockerfile []string
	if t.Dockerfile.Path != "" {
		dockerfile = []string{t.Dockerfile.Path}
	}
	packages, lists := []Fact{}, []string{}
	for _, l := range t.Packages.Lists {
		packages = append(packages, Fact{Name: l.Ecosystem, Value: strings.TrimSpace(l.Manifest + " " + l.Lock), Code: true})
		lists = append(lists, l.Manifest)
	}
	for _, o := range t.Packages.Options {
		packages = append(packages, Fact{Name: "Option " + o.Name, Value: strings.Join(o.Packages, " "), Code: true})
	}
	lists = slices.Compact(lists)
	handler := make([]string, 0, len(t.Handler.Files))
	for _, name := range t.Handler.Files {
		if full := path.Join(t.Handler.Folder, name); !slices.Contains(lists, full) {
			handler = append(handler, full)
		}
	}
	d.Parts = []Part{
		{Title: "Dockerfile", What: aboutDockerfile, Files: show(true, dockerfile...), Facts: facts(
			Fact{Name: "Base images", Value: strings.Join(t.Dockerfile.Bases, ", "), Code: true},
			Fact{Name: "Stages", Value: strings.Join(slices.DeleteFunc(slices.Clone(t.Dockerfile.Stages), func(s string) bool { return s == "" }), ", ")},
			Fact{Name: "Build arguments", Value: strings.Join(t.Dockerfile.Args, ", "), Code: true}, Fact{Name: "Watchdog", Value: watchdog})},
		{Title: "Entrypoint", What: aboutEntrypoint, Files: show(false, append([]string{"template.yml"}, t.Entrypoint.Files...)...), Facts: facts(
			Fact{Name: "fprocess", Value: t.Entrypoint.FProcess, Code: true}, Fact{Name: "Mode", Value: t.Entrypoint.Mode}, Fact{Name: "Upstream", Value: t.Entrypoint.UpstreamURL, Code: true})},
		{Title: "Handler", What: aboutHandler, Files: show(false, handler...), Facts: facts(Fact{Name: "Folder", Value: t.Handler.Folder, Code: true})},
		{Title: "Package list", What: aboutPackages, Files: show(false, lists...), Facts: packages},
	}
	var total int64
	count := 0
	_ = fs.WalkDir(f.FS, ".", func(_ string, e fs.DirEntry, err error) error { // what cannot be read is not counted
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				total += info.Size()
				count++
			}
		}
		return nil
	})
	d.Facts = append(d.Facts, Fact{Name: "Files", Value: fmt.Sprintf("%d, %s", count, size(total))})
	d.readme(f.FS)
}

// readme takes the README at the root, whatever its letters.
func (d *Detail) readme(fsys fs.FS) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.EqualFold(e.Name(), "README.md") && e.Type().IsRegular() {
			text, _, _ := readStart(fsys, e.Name(), MaxREADME+1) // one that cannot be read is not shown
			d.README, d.READMECut = cut(strings.ToValidUTF8(text, "�"), MaxREADME)
			return
		}
	}
}

// readStart returns at most the first n bytes of a file, and its size.
func readStart(fsys fs.FS, name string, n int) (string, int64, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = f.Close() }() // it was only read from
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "", 0, errors.Join(err, fs.ErrInvalid)
	}
	data := make([]byte, min(int64(n), info.Size()))
	got, err := io.ReadFull(f, data)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil // it has become shorter
	}
	return string(data[:got]), info.Size(), err
}

// readFile reads at most the first n bytes of a file, to show them.
func readFile(fsys fs.FS, name string, n int) File {
	text, length, err := readStart(fsys, name, n)
	f := File{Path: name, Size: length}
	whole := int64(len(text)) == length
	valid := text
	if !whole { // the last character may be torn
		valid = strings.ToValidUTF8(text[:max(0, len(text)-utf8.UTFMax)], "") + strings.ToValidUTF8(text[max(0, len(text)-utf8.UTFMax):], "")
	}
	switch {
	case err != nil:
		f.Note = "It is not a plain file."
	case strings.ContainsRune(text, 0) || !utf8.ValidString(valid):
		f.Note = "It is not text."
	case length == 0:
		f.Note = "It is empty."
	case n == 0:
		f.Note = "It is not shown, since a page shows " + size(maxShown) + " of files at most."
	default:
		f.Text = valid
		if !whole {
			f.Note = "Only the first " + size(int64(len(valid))) + " are shown."
		}
	}
	return f
}

// function shows what the record of a function has.
func (d *Detail) function(r schema.Record) {
	d.Icon, d.Runnable = r.Icon, r.Image != nil
	d.README, d.READMECut = cut(r.README, MaxREADME)
	if r.Image == nil {
		name := path.Base(r.Name)
		d.Commands = []Command{
			{Title: "Begin with its code, to build it yourself", Text: "fnb new --from-store " + r.Name},
			{Title: "Then have its examples run", Text: "fnb test " + name},
			{Title: "Then run it here, and send it what you like", Text: "fnb run " + name},
		}
	} else {
		d.Commands = []Command{
			{Title: "Run it in your builder, and its examples", Text: "fnb store try " + r.Name},
			{Title: "See how to pull and deploy it, in a terminal", Text: "fnb store show " + r.Name},
		}
	}
	for n, e := range r.Examples {
		x := Example{Title: cmp.Or(e.Title, "Example "+strconv.Itoa(n+1)), Request: cmp.Or(e.Method, "POST") + " " + cmp.Or(e.Path, "/"), Body: e.Body, Status: strconv.Itoa(cmp.Or(e.Status, 200)), Send: e}
		for _, key := range slices.Sorted(maps.Keys(e.Headers)) {
			x.Request += "\n" + key + ": " + e.Headers[key]
		}
		if x.Answer = e.Equals; e.Contains != "" {
			x.Answer = "… " + e.Contains + " …"
		}
		d.Examples = append(d.Examples, x)
	}
	if r.Try != nil {
		d.Given = append(settings("Environment", r.Try.Environment), settings("Secret", r.Try.Secrets)...)
	}
	run := r.Run
	if run == nil {
		return
	}
	readOnly := ""
	if run.ReadOnlyRootFilesystem {
		readOnly = "read-only"
	}
	d.Settings = facts(Fact{Name: "fprocess", Value: run.FProcess, Code: true}, Fact{Name: "Root file system", Value: readOnly}, Fact{Name: "Secrets", Value: strings.Join(run.Secrets, ", "), Code: true})
	d.Settings = slices.Concat(d.Settings, settings("Environment", run.Environment), settings("Label", run.Labels), settings("Annotation", run.Annotations))
	for _, m := range []struct {
		name string
		has  *schema.RecordResources
	}{{"Limits", run.Limits}, {"Requests", run.Requests}} {
		if m.has != nil {
			d.Settings = append(d.Settings, facts(Fact{Name: m.name, Value: strings.TrimSpace(m.has.Memory + " " + m.has.CPU)})...)
		}
	}
}

// settings are named values of one kind, in the order of their names.
func settings(kind string, all map[string]string) []Fact {
	var out []Fact
	for _, key := range slices.Sorted(maps.Keys(all)) {
		out = append(out, Fact{Name: kind + " " + key, Value: all[key], Code: true})
	}
	return out
}

// icon is a picture that a record holds itself; one elsewhere is not loaded.
func icon(s string) string {
	if u, err := url.Parse(s); err != nil || u.Scheme != "data" || schema.ValidateIcon(s) != nil {
		return ""
	}
	return s
}
