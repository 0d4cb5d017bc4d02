package servers

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// A LargeStore says how large a generated store is.
type LargeStore struct {
	Templates, Functions int
	Versions             int // of each
	// Last is the source of the last template, so that it can be fetched: a template's
	// repository, commit, folder and checksum. All others are nowhere.
	Last struct{ URL, Commit, Path, Checksum string }
}

// Write makes a bare git repository in the folder dir. Its records, of which no two
// have a digest in common, are in 200 namespaces.
func (l LargeStore) Write(ctx context.Context, dir string) error {
	if out, err := exec.CommandContext(ctx, "git", "init", "-q", "--bare", "-b", "main", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("git init: %w: %s", err, out)
	}
	cmd := exec.CommandContext(ctx, "git", "-C", dir, "fast-import", "--quiet")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	w := bufio.NewWriter(in)
	l.write(w)
	err = w.Flush()
	if cerr := in.Close(); err == nil {
		err = cerr
	}
	if werr := cmd.Wait(); err == nil {
		err = werr
	}
	return err
}

// Name is the name of one of so many packages.
func (LargeStore) Name(n, of int) string {
	words := largeWords()
	return fmt.Sprintf("ns%03d/%s-%s-%05d", n*200/of, words[n%len(words)], words[n/7%len(words)], n)
}

func largeWords() []string {
	return strings.Fields("http json queue image resize mail cron proxy cache stream table chart token parse render sort merge")
}

func (l LargeStore) write(w io.Writer) {
	fmt.Fprint(w, "commit refs/heads/main\ncommitter a <a@example.com> 1700000000 +0000\ndata 1\nx\n")
	file := func(name, text string) { fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n%s\n", name, len(text), text) }
	digest := func(all ...any) string { return fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, all...))) }
	words := largeWords()
	file("store.json", `{"v": 1}`)
	for i := range l.Templates {
		name := l.Name(i, l.Templates)
		file("templates/"+name+"/package.json", fmt.Sprintf(`{"v": 1, "description": "does %s and %s well enough for most, number %d", "tags": [%q]}`,
			words[i%len(words)], words[i/11%len(words)], i, words[i%5]))
		for v := range l.Versions {
			sum, url, commit, path := "fnb1:sha256:"+digest(name, v), "https://large.example.com/t.git", digest(name, v, "commit")[:40], "template/x"
			if i == l.Templates-1 && l.Last.URL != "" {
				sum, url, commit, path = l.Last.Checksum, l.Last.URL, l.Last.Commit, l.Last.Path
			}
			file(fmt.Sprintf("templates/%s/v/1.%d.0.json", name, v), fmt.Sprintf(`{"v": 1, "kind": "template", "name": %q, "vers": "1.%d.0", "cksum": %q,
 "source": {"git": {"url": %q, "ref": "refs/tags/v1.%d.0", "commit": %q, "path": %q}}, "parts": {"entrypoint": {}, "handler": {"dir": "function"}},
 "lang": "go", "platforms": ["linux/amd64", "linux/arm64"], "license": "MIT"}
`, name, v, sum, url, v, commit, path))
		}
	}
	for i := range l.Functions {
		name := l.Name(i, l.Functions)
		for v := range l.Versions {
			file(fmt.Sprintf("functions/%s/v/1.%d.0.json", name, v), fmt.Sprintf(`{"v": 1, "kind": "function", "name": %q, "vers": "1.%d.0", "title": "Does %s", "description": "does %s and %s well enough for most, number %d",
 "image": {"ref": "registry.example.com/%s:1.%d.0", "digest": "sha256:%s", "platforms": {"linux/amd64": {"digest": "sha256:%s", "size": 1000}, "linux/arm64": {"digest": "sha256:%s", "size": 1000}}},
 "categories": [%q], "run": {"fprocess": "./handler"}, "license": "MIT", "readme": "# Does it\n\n%s"}
`, name, v, words[i%len(words)], words[i%len(words)], words[i/11%len(words)], i, name, v,
				digest(name, v), digest(name, v, "amd64"), digest(name, v, "arm64"), words[i%5], strings.Repeat("A word about it. ", 40)))
		}
	}
}
