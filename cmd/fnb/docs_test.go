package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fnb/internal/servers"
)

// TestTutorials does what pages say, block by block: a block with a file's name is written
// to that file, and of a console each command is run and its output compared. Of a console
// that "fails" the last command must. "…" is any text, and on a line of its own any lines. What a page
// calls ghcr.io/acme is the tests' registry; other hosts of example.com are made for it.
func TestTutorials(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/howto/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range append(pages, "../../docs/tutorial.md") {
		name := strings.TrimSuffix(filepath.Base(page), ".md")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := shared()
			servers.Require(t, "buildkit", err)
			data, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			blocks := codeBlocks(string(data))
			if !slices.ContainsFunc(blocks, func(b codeBlock) bool { return b.kind == "console" }) {
				t.Fatal("it has no commands")
			}
			p := newReading(t, r, string(data), name)
			for _, b := range blocks {
				p.do(b)
			}
		})
	}
}

// newReading begins to read a page, with what it speaks of. Its images are pushed where no other page's are.
func newReading(t *testing.T, r *rig, page, owner string) *reading {
	t.Helper()
	port, err := servers.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	p := &reading{t: t, port: port}
	names := []string{"ghcr.io/acme", r.registry.Host + "/" + owner, "ghcr.io", r.registry.Host, "127.0.0.1:8080", "127.0.0.1:" + port}
	env := []string{"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com"}
	if strings.Contains(page, "https://packages.example.com") {
		c := newCompany(t, "")
		config := filepath.Join(t.TempDir(), "config.yaml")
		if err := writeSettings(config, r.mirrors, c.addr); err != nil {
			t.Fatal(err)
		}
		if p.authority, err = os.ReadFile(c.ca); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(page, "company.pem") { // a page that is not about its certificate
			appendTo(t, config, fmt.Sprintf("  ca: [%q]\n", c.ca))
		}
		names = append(names, "packages.example.com", c.addr)
		env = append(env, "FNB_CONFIG="+config, "FNB_BUILDER_ROOT="+filepath.Join(t.TempDir(), "builder"))
	}
	p.user = newUser(t, r, append(env, "PATH="+r.bin+":"+os.Getenv("PATH"))...)
	t.Cleanup(func() {
		if p.authority != nil {
			p.user.try("builder", "stop")
		}
	})
	if address := "tcp://buildkitd.example.com:1234"; strings.Contains(page, address) {
		names = append(names, address, p.remoteBuilder(r))
	}
	if strings.Contains(page, "https://git.example.com") {
		g := servers.GitFor(t, servers.GitOptions{})
		for repo, file := range map[string]string{"functions": "README.md --\nfunctions\n", "store": "store.json --\n{\"v\": 1}\n"} {
			if _, err := g.Commit(t.Context(), repo, servers.Commit{Files: "-- " + file}); err != nil {
				t.Fatal(err)
			}
			names = append(names, "https://git.example.com/acme/"+repo+".git", g.RepoURL(repo))
		}
	}
	p.names = strings.NewReplacer(names...)
	return p
}

// remoteBuilder starts a builder that wants certificates, which are where pages have them, and
// returns its address.
func (p *reading) remoteBuilder(r *rig) string {
	t := p.t
	dir := t.TempDir()
	certs, err := servers.MakeCerts(dir)
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(p.user.home(), "certs")
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

// A codeBlock is one of a page: its language, the file that it is, and its lines.
type codeBlock struct {
	kind, file string
	lines      []string
}

var blockBegin = regexp.MustCompile("^```([a-z]+)(?: (\\S+))?$")

func codeBlocks(page string) []codeBlock {
	var all []codeBlock
	var open *codeBlock
	for line := range strings.SplitSeq(page, "\n") {
		switch m := blockBegin.FindStringSubmatch(line); {
		case open == nil && m != nil:
			open = &codeBlock{kind: m[1], file: m[2]}
		case open != nil && line == "```":
			all, open = append(all, *open), nil
		case open != nil:
			open.lines = append(open.lines, line)
		}
	}
	return all
}

// A reading is somebody who does what a page says.
type reading struct {
	t         *testing.T
	user      *fnbUser
	names     *strings.Replacer
	port      string
	authority []byte // the certificate of the company, if the page has one
}

func (p *reading) do(b codeBlock) {
	switch {
	case b.kind == "console":
		for i := 0; i < len(b.lines); {
			command, ok := strings.CutPrefix(b.lines[i], "$ ")
			if !ok {
				p.t.Fatalf("%q follows no command", b.lines[i])
			}
			i++
			var want []string
			for i < len(b.lines) && !strings.HasPrefix(b.lines[i], "$ ") {
				want = append(want, b.lines[i])
				i++
			}
			p.command(p.names.Replace(command), p.names.Replace(strings.Join(want, "\n")), b.file == "fails" && i == len(b.lines))
		}
	case b.file != "":
		p.user.write(b.file, p.names.Replace(strings.Join(b.lines, "\n")+"\n"))
	}
}

// command runs a line of a console, fnb run until the page ends.
func (p *reading) command(line, want string, fails bool) {
	t := p.t
	if strings.Contains(line, "token.txt") {
		p.user.write("token.txt", "token\n") // what a reader has
	}
	if strings.Contains(line, "company.pem") {
		p.user.write("company.pem", string(p.authority))
	}
	serves := strings.HasPrefix(line, "fnb run ")
	if serves {
		line = "exec " + line + " --port " + p.port
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir, cmd.Env = p.user.dir, p.user.env
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if serves {
		p.serve(cmd, cancel, want, &errs)
		return
	}
	defer cancel()
	out, err := cmd.Output()
	if (err != nil) != fails {
		t.Fatalf("$ %s\n%v\n%s%s", line, err, out, errs.String())
	}
	said, want := aside(want)
	for _, s := range said {
		if !slices.ContainsFunc(strings.Split(errs.String(), "\n"), wildcards(s).MatchString) {
			t.Fatalf("$ %s\nsays\n%s\nwant\n%s", line, errs.String(), s)
		}
	}
	if got := strings.TrimRight(string(out), "\n"); !wildcards(want).MatchString(got) {
		t.Fatalf("$ %s\nprints\n%s\nwant\n%s", line, got, want)
	}
}

// aside takes the lines that fnb prints beside its result out of what a page shows.
func aside(want string) (said []string, rest string) {
	var lines []string
	for line := range strings.SplitSeq(want, "\n") {
		if regexp.MustCompile(`^(?:fnb: |hint: |--- |    \| |ok  )`).MatchString(line) {
			said = append(said, line)
		} else {
			lines = append(lines, line)
		}
	}
	return said, strings.Join(lines, "\n")
}

// serve runs a command that goes on until the test ends, and waits for what it prints first.
func (p *reading) serve(cmd *exec.Cmd, cancel func(), want string, errs *bytes.Buffer) {
	t := p.t
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // it ends by the signal
		cancel()
	})
	line := make([]byte, 4096)
	n, err := out.Read(line)
	if got := strings.TrimSpace(string(line[:n])); err != nil || !wildcards(want).MatchString(got) {
		t.Fatalf("$ %s\nprints %q (%v), want %q\n%s", cmd, got, err, want, errs.String())
	}
}

// wildcards is text in which "…" is any text, on a line of its own any lines, and spaces are any
// number of them.
func wildcards(text string) *regexp.Regexp {
	quoted := regexp.MustCompile(`(?m)\n?^…$`).ReplaceAllString(regexp.QuoteMeta(text), `(?s:.*)`)
	quoted = strings.ReplaceAll(quoted, "…", ".*")
	return regexp.MustCompile("^" + regexp.MustCompile(` +`).ReplaceAllString(quoted, " *") + "$")
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

// TestWildcards holds what a page may leave out.
func TestWildcards(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		page, printed string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a  b", "a b", true},
		{"a b", "a c", false},
		{"sha256:…", "sha256:12", true},
		{"sha256:…", "sha256:12\nmore", false},
		{"a.c", "abc", false},
		{"…", "", true},
		{"…", "a\nb", true},
		{"a\n…", "a", true},
		{"a\n…", "a\nb\nc", true},
		{"a\n…\nd", "a\nb\nd", true},
		{"a\n…\nd", "a\nb\nc", false},
	} {
		if got := wildcards(c.page).MatchString(c.printed); got != c.want {
			t.Errorf("%q for %q: %v", c.printed, c.page, got)
		}
	}
	if said, rest := aside("a\nfnb: b\nhint: c"); len(said) != 2 || rest != "a" {
		t.Errorf("beside the result is %q, and it is %q", said, rest)
	}
}
