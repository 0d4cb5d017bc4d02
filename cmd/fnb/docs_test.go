package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"fnb/internal/pages"
	"fnb/internal/servers"
	"fnb/schema/settings"
)

// TestTutorials does what pages say, as package pages says. What a page calls ghcr.io/acme is the tests'
// registry; other hosts of example.com are made for it.
func TestTutorials(t *testing.T) {
	t.Parallel()
	howtos, err := filepath.Glob("../../docs/howto/*.md")
	if err != nil || len(howtos) < 10 {
		t.Fatalf("%d pages, %v", len(howtos), err)
	}
	for _, page := range append(howtos, "../../docs/tutorial.md") {
		name := strings.TrimSuffix(filepath.Base(page), ".md")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			blocks, err := pages.Blocks(string(data))
			if err != nil {
				t.Fatalf("%s: %v", page, err)
			}
			if !slices.ContainsFunc(blocks, func(b pages.Block) bool { return b.Kind == "console" }) {
				t.Fatal("it has no commands")
			}
			r, err := shared()
			servers.Require(t, "buildkit", err)
			p := newReader(t, r, string(data), name)
			for _, b := range blocks {
				if err := p.Do(t.Context(), b); err != nil {
					t.Fatalf("%s: %v", page, err)
				}
				if b.File == settingsFile {
					// The tests' fnb has settings of its own; those of the page are right.
					if _, err := settings.Read(filepath.Join(p.Home, strings.TrimPrefix(settingsFile, "~/"))); err != nil {
						t.Errorf("%s: %v", page, err)
					}
				}
			}
		})
	}
}

// settingsFile is where pages have fnb's settings.
const settingsFile = "~/.config/fnb/config.yaml"

// newReader begins to read a page, with what it speaks of. Its images are pushed where no other page's are.
func newReader(t *testing.T, r *rig, page, owner string) *pages.Reader {
	t.Helper()
	port, err := servers.FreePorts(3) // functions follow a gateway
	if err != nil {
		t.Fatal(err)
	}
	p := &pages.Reader{Port: port, Has: map[string]string{"~/token.txt": "token\n"}}
	p.Names = []string{"ghcr.io/acme", r.registry.Host + "/" + owner, "ghcr.io", r.registry.Host, "127.0.0.1:8080", "127.0.0.1:" + port}
	env := []string{"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com"}
	company := strings.Contains(page, "https://packages.example.com")
	if company {
		c := newCompany(t, "")
		config := filepath.Join(t.TempDir(), "config.yaml")
		if err := writeSettings(config, mirrorLists(r.mirrors), c.addr); err != nil {
			t.Fatal(err)
		}
		authority, err := os.ReadFile(c.ca)
		if err != nil {
			t.Fatal(err)
		}
		p.Has["company.pem"] = string(authority)
		if !strings.Contains(page, "company.pem") { // a page that is not about its certificate
			appendTo(t, config, fmt.Sprintf("  ca: [%q]\n", c.ca))
		}
		p.Names = append(p.Names, "packages.example.com", c.addr)
		env = append(env, "FNB_CONFIG="+config, "FNB_BUILDER_ROOT="+filepath.Join(t.TempDir(), "builder"))
	}
	user := newUser(t, r, append(env, "PATH="+r.bin+":"+os.Getenv("PATH"))...)
	p.Dir, p.Env, p.Home = user.dir, user.env, user.home()
	t.Cleanup(func() {
		p.Close()
		if company {
			user.try("builder", "stop")
		}
	})
	if address := "tcp://buildkitd.example.com:1234"; strings.Contains(page, address) {
		p.Names = append(p.Names, address, remoteBuilder(t, r, p.Home))
	}
	if strings.Contains(page, "https://git.example.com") {
		g := servers.GitFor(t, servers.GitOptions{})
		for repo, file := range map[string]string{"functions": "README.md --\nfunctions\n", "store": "store.json --\n{\"v\": 1}\n"} {
			if _, err := g.Commit(t.Context(), repo, servers.Commit{Files: "-- " + file}); err != nil {
				t.Fatal(err)
			}
			p.Names = append(p.Names, "https://git.example.com/acme/"+repo+".git", g.RepoURL(repo))
		}
	}
	return p
}

// remoteBuilder starts a builder that wants certificates, which are where pages have them, and
// returns its address.
func remoteBuilder(t *testing.T, r *rig, home string) string {
	t.Helper()
	dir := t.TempDir()
	certs, err := servers.MakeCerts(dir)
	if err != nil {
		t.Fatal(err)
	}
	home = filepath.Join(home, "certs")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	for to, from := range map[string]string{"ca.pem": certs.CA, "cert.pem": certs.ClientCert, "key.pem": certs.ClientKey} {
		if err := os.Rename(from, filepath.Join(home, to)); err != nil {
			t.Fatal(err)
		}
	}
	certs.CA = filepath.Join(home, "ca.pem")
	return servers.BuildkitdFor(t, servers.BuildkitdOptions{TCP: true, TLS: certs, Mirrors: r.mirrors}).Address
}

// home is the folder of the user's own files.
func (u *fnbUser) home() string {
	for _, v := range u.env {
		if dir, ok := strings.CutPrefix(v, "HOME="); ok {
			return dir
		}
	}
	return ""
}

func appendTo(t *testing.T, file, text string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(data, text...), 0o600); err != nil {
		t.Fatal(err)
	}
}

var (
	quotedError = regexp.MustCompile("(?m)^### `(.*)`$")
	formatVerb  = regexp.MustCompile(`%[-+# 0-9.*]*[a-zA-Z]`)
)

// TestTroubleshooting holds that fnb still says what docs/troubleshooting.md explains.
func TestTroubleshooting(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	said, err := literals("../..")
	if err != nil || len(said) < 1000 {
		t.Fatalf("%d texts in the source, %v", len(said), err)
	}
	entries := quotedError.FindAllStringSubmatch(string(page), -1)
	if len(entries) < 30 {
		t.Fatalf("%d errors", len(entries))
	}
	for _, m := range entries {
		text := strings.Trim(m[1], "… ")
		if len(text) < 10 || !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, text) }) {
			t.Errorf("no text of the source has %q", text)
		}
	}
}

// literals are the texts in the source of the module, without its tests, with "…" in place of
// what is formatted.
func literals(root string) ([]string, error) {
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "bin" || d.Name() == "node_modules" || d.Name() == "tools") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil {
					all = append(all, formatVerb.ReplaceAllString(s, "…"))
				}
			}
			return true
		})
		return nil
	})
	return all, err
}

// TestTasks holds that what fnb help tasks says can be typed.
func TestTasks(t *testing.T) {
	t.Parallel()
	root := newRoot(streams{})
	page, _, err := root.Find([]string{"tasks"})
	if err != nil {
		t.Fatal(err)
	}
	typed := 0
	for _, m := range regexp.MustCompile(`fnb ([a-z][^,\n]*)`).FindAllStringSubmatch(page.Long, -1) {
		cmd, rest, err := root.Find(strings.Fields(m[1]))
		if err == nil && cmd == root {
			err = errors.New("there is no such command")
		}
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err != nil {
			t.Errorf("fnb %s: %v", m[1], err)
		}
		typed++
	}
	if typed < 12 {
		t.Errorf("only %d commands can be typed", typed)
	}
}
