package house

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A pkg is a package as its files say it, those for other platforms and build tags
// included, tests left out.
type pkg struct {
	path  string // below the module
	name  string
	doc   string
	files []*file
}

// A file is one of a package's.
type file struct {
	name  string
	lines int
	set   *token.FileSet
	tree  *ast.File
}

// source reads all packages of the module. Modules below it, as tools has, are none of it.
func source(t *testing.T) []*pkg {
	t.Helper()
	byDir := map[string]*pkg{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if _, err := os.Stat(filepath.Join(path, "go.mod")); path != root && (err == nil || skipped(d.Name())) {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		p := byDir[dir]
		if p == nil {
			p = &pkg{path: filepath.ToSlash(dir)}
			byDir[dir] = p
		}
		return p.read(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []*pkg
	for _, p := range byDir {
		if _, known := RoomOf(p.path); known && len(p.files) > 0 {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *pkg) int { return cmp.Compare(a.path, b.path) })
	return all
}

// skipped reports whether a folder of that name holds no package of the module.
func skipped(name string) bool {
	return name == "testdata" || name == "bin" || name == "node_modules" || len(name) > 2 && (name[0] == '.' || name[0] == '_')
}

var ignored = regexp.MustCompile(`(?m)^//go:build ignore$`)

// read adds a file to its package.
func (p *pkg) read(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if ignored.Match(raw) {
		return nil
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, path, raw, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	p.name = tree.Name.Name
	if tree.Doc != nil {
		p.doc += tree.Doc.Text()
	}
	p.files = append(p.files, &file{name: filepath.Base(path), lines: bytes.Count(raw, []byte("\n")), set: set, tree: tree})
	return nil
}

// identifiers are the package-level names that a package declares; methods are not
// among them.
func (p *pkg) identifiers() []string {
	seen := map[string]bool{}
	for _, f := range p.files {
		for _, d := range f.tree.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					seen[d.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						seen[s.Name.Name] = true
					case *ast.ValueSpec:
						for _, n := range s.Names {
							seen[n.Name] = true
						}
					}
				}
			}
		}
	}
	var all []string
	for name := range seen {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// breaches are what of a package goes beyond its limits.
func (p *pkg) breaches() []string {
	var out []string
	say := func(format string, args ...any) {
		out = append(out, p.path+": "+fmt.Sprintf(format, args...))
	}
	l := LimitsOf(p.path)
	lines := 0
	for _, f := range p.files {
		lines += f.lines
		for _, b := range f.breaches(l) {
			say("%s", b)
		}
	}
	exported := slices.DeleteFunc(p.identifiers(), func(name string) bool { return !ast.IsExported(name) })
	if l.Lines > 0 && lines > l.Lines {
		say("%d lines, %d at most: carve it", lines, l.Lines)
	}
	if l.Files > 0 && len(p.files) > l.Files {
		say("%d files, %d at most: carve it", len(p.files), l.Files)
	}
	if len(exported) > l.Exported {
		say("%d exported names, %d at most: hide some, or carve it", len(exported), l.Exported)
	}
	entries := exported
	if len(entries) == 0 || p.name == "main" {
		entries = p.identifiers()
	}
	shown := p.name == "main" && strings.Contains(p.doc, "\nUsage:\n")
	if !shown && !slices.ContainsFunc(entries, func(name string) bool { return names(p.doc, name) }) {
		say("its doc comment names no entry point")
	}
	return out
}

// names reports whether a doc comment names an identifier.
func names(doc, name string) bool {
	return regexp.MustCompile(`(^|[^\pL\pN_])` + regexp.QuoteMeta(name) + `($|[^\pL\pN_])`).MatchString(doc)
}

// breaches are what of a file goes beyond its package's limits.
func (f *file) breaches(l Limits) []string {
	var out []string
	say := func(at token.Pos, format string, args ...any) {
		out = append(out, fmt.Sprintf("%s:%d: ", f.name, f.set.Position(at).Line)+fmt.Sprintf(format, args...))
	}
	commands := 0
	ast.Inspect(f.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if length := f.length(n); length > l.Function {
				say(n.Pos(), "%s has %d lines, %d at most", n.Name.Name, length, l.Function)
			}
		case *ast.TypeSpec:
			s, ok := n.Type.(*ast.StructType)
			if !ok || isDocument(s) {
				return true
			}
			if fields := s.Fields.NumFields(); fields > l.Fields {
				say(n.Pos(), "the struct %s has %d fields, %d at most", n.Name.Name, fields, l.Fields)
			}
		case *ast.CompositeLit:
			if sel, ok := n.Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "Command" && fmt.Sprint(sel.X) == "cobra" {
				if commands++; commands == 2 {
					say(n.Pos(), "a second command: give it a file")
				}
			}
		}
		return true
	})
	if commands > 0 && f.lines > l.Command {
		say(f.tree.Pos(), "a command of %d lines, %d at most", f.lines, l.Command)
	}
	return out
}

// length is how many lines the body of a function has.
func (f *file) length(d *ast.FuncDecl) int {
	if d.Body == nil {
		return 0
	}
	return f.set.Position(d.Body.End()).Line - f.set.Position(d.Body.Pos()).Line - 1
}

// isDocument reports whether a struct is a file or a part of one: its fields have
// names in JSON or YAML.
func isDocument(s *ast.StructType) bool {
	return slices.ContainsFunc(s.Fields.List, func(f *ast.Field) bool {
		if f.Tag == nil {
			return false
		}
		tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
		return tag.Get("json") != "" || tag.Get("yaml") != ""
	})
}

// TestLimits holds every package to its limits. There are no exceptions: what goes
// beyond is carved.
func TestLimits(t *testing.T) {
	t.Parallel()
	all := source(t)
	if len(all) < len(Rooms()) {
		t.Fatalf("%d packages were read, and there are %d rooms", len(all), len(Rooms()))
	}
	for _, p := range all {
		for _, b := range p.breaches() {
			t.Error(b)
		}
	}
}

// TestLimitsFind shows that each limit is seen when something goes beyond it.
func TestLimitsFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fields := strings.Repeat("\tx%d int\n", 16)
	for i := range 16 {
		fields = strings.Replace(fields, "%d", fmt.Sprint(i), 1)
	}
	for name, text := range map[string]string{
		"big.go":     "// Package big is without a way in.\npackage big\n\ntype Wide struct {\n" + fields + "}\n\ntype Doc struct {\n" + strings.Replace(fields, "\n", " `json:\"x\"`\n", 1) + "}\n",
		"long.go":    "package big\n\nfunc Long() {\n" + strings.Repeat("\tprintln()\n", 81) + "}\n\nvar (\n" + exportedNames(60) + ")\n" + strings.Repeat("//\n", 4000),
		"two.go":     "package big\n\nvar a, b = cobra.Command{}, &cobra.Command{}\n" + strings.Repeat("//\n", 160),
		"ignored.go": "//go:build ignore\n\npackage main\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := &pkg{path: "store/big"}
	for _, name := range []string{"big.go", "ignored.go", "long.go", "two.go"} {
		if err := p.read(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	got := strings.Join(p.breaches(), "\n")
	for _, want := range []string{
		"the struct Wide has 16 fields, 15 at most",
		"Long has 81 lines, 80 at most",
		"63 exported names, 60 at most",
		"lines, 4000 at most",
		"a second command",
		"a command of 163 lines, 160 at most",
		"names no entry point",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no word of %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "struct Doc") {
		t.Errorf("Doc is a document:\n%s", got)
	}
}

func exportedNames(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "\tX%d int\n", i)
	}
	return b.String()
}
