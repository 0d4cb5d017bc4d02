package lists

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"fnb/internal/growth"
)

// TestGrowth reads package lists that attackers would write: the time grows with their
// length.
func TestGrowth(t *testing.T) {
	var readers []growth.Reader
	add := func(name string, size int, files func(size int) map[string]string) {
		readers = append(readers, growth.Reader{Name: name, Size: size, Begin: func(size int) func() {
			s := Search{Files: fsOf(files(size)), Handler: "fn/a", Lists: allLists()}
			return func() { _, _ = Find(s) } // whatever comes of it
		}})
	}
	one := func(name string) func(string) map[string]string {
		return func(text string) map[string]string { return map[string]string{"fn/a/" + name: text} }
	}
	for _, line := range []string{"-r a#.txt\n", "./x#\n", "x \\\n", "# \n", "a @ file:b\n", "-e .[a]\n", "[" /* no name */, "x #"} {
		add("requirements of "+strings.TrimSpace(line), 200_000, func(size int) map[string]string {
			return one("requirements.txt")(growth.Numbered(line, size))
		})
	}
	for _, part := range []string{"a#=1\n", "[a#]\n", "[[a]]\n", "a.b#.c = 1\n", "x#=[[],{}]\n", "\"\\u00e9#\"=1\n", "a#='''\n'''\n", "a={a={", "a=[[", "[a.b.c.d.e#]\n"} {
		add("pyproject of "+strings.TrimSpace(part), 100_000, func(size int) map[string]string {
			return one("pyproject.toml")(growth.Numbered(part, size))
		})
	}
	for _, part := range []string{`"a#":"file:x",`, `"a#":{"b":"1"},`} {
		for _, key := range []string{"dependencies", "overrides"} {
			add("package.json: "+key+" of "+part, 100_000, func(size int) map[string]string {
				return one("package.json")(`{"` + key + `": {` + strings.TrimSuffix(growth.Numbered(part, size), ",") + `}}`)
			})
		}
	}
	for _, part := range []string{"[", `{"a":`, " "} {
		add("package.json of "+part, 9_000, func(size int) map[string]string { return one("package.json")(strings.Repeat(part, size)) })
	}
	for _, pattern := range []string{"**/", "*/", "{a,b}", "?*", "!**/x/"} {
		add("patterns of "+pattern, 2_000, func(size int) map[string]string {
			files := map[string]string{"package.json": `{"workspaces": ["` + strings.Repeat(pattern, size/len(pattern)) + `"]}`, "fn/a/package.json": `{"name": "a"}`}
			for n := range 20 {
				files[fmt.Sprintf("fn/%d/%d/x/y/z/package.json", n, n)] = "{}"
			}
			return files
		})
	}
	add("members", 2_000, func(size int) map[string]string {
		files := map[string]string{"package.json": `{"workspaces": ["fn/*"]}`, "fn/a/package.json": `{"name": "a", "dependencies": {"m0": "*"}}`}
		for n := range size {
			files[fmt.Sprintf("fn/m%d/package.json", n)] = fmt.Sprintf(`{"name": "m%d", "dependencies": {"m%d": "*", "m%d": "*"}}`, n, n+1, n/2)
		}
		return files
	})
	// What is compared with what, each as long as the other.
	lib := func(n int) string { // a name in another case
		name := []byte("abcdefghijklmnop")
		for i := range name {
			if n>>i&1 == 1 {
				name[i] -= 'a' - 'A'
			}
		}
		return string(name)
	}
	add("sources that are a member", 2_000, func(size int) map[string]string {
		var sources strings.Builder
		for n := range size {
			fmt.Fprintf(&sources, "%s={workspace=true}\n", lib(n))
		}
		return map[string]string{
			"pyproject.toml": "[tool.uv.workspace]\nmembers=['fn/*','lib']\n", "uv.lock": "version = 1\n", "lib/pyproject.toml": "[project]\nname='" + lib(0) + "'\n",
			"fn/a/pyproject.toml": "[project]\nname='a'\ndependencies=[" + growth.Numbered("'x#',", size*6) + "]\n[tool.uv.sources]\n" + sources.String(),
		}
	})
	members := func(size int, manifest string, deps string) map[string]string {
		files := map[string]string{"package.json": manifest, "fn/a/package.json": `{"name": "a", "dependencies": {` + strings.TrimSuffix(deps, ",") + `}}`}
		for n := range size {
			files[fmt.Sprintf("m/m%d/package.json", n)] = fmt.Sprintf(`{"name": "m%d"}`, n)
		}
		return files
	}
	add("paths of members", 1_000, func(size int) map[string]string {
		return members(size, `{"workspaces": ["fn/*","m/*"]}`, growth.Numbered(`"d#":"file:../../m/m1",`, size*25))
	})
	add("pom.xml", 100_000, func(size int) map[string]string {
		return one("pom.xml")("<project><modules>" + growth.Numbered("<module>m#</module>", size) + "</modules></project>")
	})
	add("pom.xml in pom.xml", 100_000, func(size int) map[string]string { return one("pom.xml")(strings.Repeat("<project>", size/9)) })
	add("deno.json", 100_000, func(size int) map[string]string {
		return one("deno.json")("{" + strings.Repeat("/* , */ // x\n,", size/14) + "}")
	})
	add("go.mod", 30_000, func(size int) map[string]string {
		return one("go.mod")("module x\n" + growth.Numbered("replace a# => ./a#\n", size))
	})
	growth.Check(t, readers...)
}

// A search ends in an error where it would look at too much.
func TestBounds(t *testing.T) {
	t.Parallel()
	deep := fstest.MapFS{"package.json": {Data: []byte(`{"workspaces": ["**/**/**/**/**/**/x"]}`)}, "fn/a/package.json": {Data: []byte("{}")}}
	for n := range 300 {
		deep[strings.Repeat("d/", n%60)+fmt.Sprintf("e%d/f", n)] = &fstest.MapFile{}
	}
	many := func(pattern string, n int) fs.FS {
		files := map[string]string{"package.json": `{"workspaces": ["fn/*","d/*"` + strings.Repeat(`,"`+pattern+`"`, n) + `]}`, "fn/a/package.json": "{}"}
		for n := range 200 {
			files[fmt.Sprintf("d/d%d/package.json", n)] = "{}"
		}
		return fsOf(files)
	}
	for name, s := range map[string]Search{
		"has too many patterns for so many folders":            {Files: many("!q", maxCompared/200+1), Handler: "fn/a"},
		"has too many patterns for so many folders: more than": {Files: many("d/q*", maxCompared/200+1), Handler: "fn/a"},
		"is larger than 4194304 bytes":                         {Files: fsOf(map[string]string{"requirements.txt": strings.Repeat("x", maxManifest+1)}), Handler: "."},
		"more than the 100000 files and folders":               {Files: deep, Handler: "fn/a"},
		"more than the 100000 files and folders that package ": {Files: fsOf(map[string]string{"requirements.txt": strings.Repeat("a\n", maxSteps+1)}), Handler: "."},
	} {
		s.Lists = allLists()
		if _, err := Find(s); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, not %q", err, name)
		}
	}
}

// FuzzFind looks for lists that end the program, or that lead out of the handler's
// workspace.
func FuzzFind(f *testing.F) {
	f.Add("requirements.txt", "-r ../x\n./y[z]; a\n-e file:.\n", "package.json", `{"workspaces": ["fn/*"]}`)
	f.Add("package.json", `{"dependencies": {"x": "file:../..", "y": "workspace:*"}}`, "pnpm-workspace.yaml", "packages: ['**']")
	f.Add("pyproject.toml", "[tool.uv.sources]\nx={path='../../x'}\ny={workspace=true}", "pyproject.toml", "[tool.uv.workspace]\nmembers=['fn/*']")
	f.Add("Cargo.toml", "[dependencies]\nx={path='../x'}", "Cargo.toml", "[workspace]\nmembers=['{fn,x}/**']")
	f.Add("pom.xml", "<project><modules><module>../../x</module></modules></project>", "deno.json", "{}")
	f.Add("deno.json", `{"importMap": "/* // , */", "links": ["."]}`, "go.mod", "module x\nreplace a => ../../..\n")
	f.Fuzz(func(t *testing.T, name, text, above, around string) {
		files := fstest.MapFS{"outside/secret": {}, "stack/fn/b/package.json": {Data: []byte(`{"name":"b"}`)}}
		for place, data := range map[string]string{"stack/fn/a/" + name: text, "stack/" + above: around} {
			if !fs.ValidPath(place) {
				return
			}
			files[place] = &fstest.MapFile{Data: []byte(data)}
		}
		stack, err := fs.Sub(files, "stack")
		if err != nil {
			return
		}
		for _, anew := range []bool{false, true} {
			found, err := Find(Search{Files: stack, Handler: "fn/a", Lists: allLists(), Relock: anew, Anew: anew})
			if err != nil {
				continue
			}
			if found.Root != "fn/a" && found.Root != "." && found.Root != "fn" {
				t.Errorf("the root is %q", found.Root)
			}
			for _, list := range [][]string{found.Files, found.Folders, found.Empty} {
				for _, file := range list {
					if !fs.ValidPath(file) || !Inside(found.Root, file) {
						t.Errorf("%q is outside of %q", file, found.Root)
					}
				}
			}
		}
	})
}
