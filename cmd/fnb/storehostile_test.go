package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/schema/deploy"
	"fnb/store"
	"fnb/store/site"
)

// wholeRecord is a record of a function with everything that one can have.
func wholeRecord(name string) map[string]any {
	digest := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	return map[string]any{
		"v": 1.0, "kind": "function", "name": name, "vers": "1.0.0", "lang": "cobol", "description": "makes it short", "fnb": ">=0.0.0-0", "license": "MIT", "pubtime": "2026-09-01T10:00:00Z",
		"image": map[string]any{"ref": "registry.example.com/acme/f:1.0.0", "digest": digest("1"), "platforms": map[string]any{
			"linux/amd64": map[string]any{"digest": digest("2"), "size": 1200000.0, "packages": 4711.0}, "linux/arm64": map[string]any{"digest": digest("3"), "size": 1300000.0},
		}, "provenance": "https://slsa.dev/provenance/v1", "signedBy": []any{"SHA256:" + strings.Repeat("k", 43)}},
		"run": map[string]any{
			"fprocess": "shorten -q", "env": map[string]any{"write_timeout": "7s"}, "readOnlyRootFilesystem": true, "labels": map[string]any{"team": "text"}, "annotations": map[string]any{"topic": "mail"},
			"secrets": []any{"api-key"}, "limits": map[string]any{"memory": "64Mi", "cpu": "100m"}, "requests": map[string]any{"memory": "32Mi", "cpu": "50m"},
		},
		"built": map[string]any{"template": "acme/go@1.4.0", "cksum": "fnb1:" + digest("4"), "git": map[string]any{"url": "https://git.example.com/functions", "ref": "refs/tags/v1", "commit": strings.Repeat("9b", 20), "path": "src/shorten"}},
		"examples": []any{
			map[string]any{"title": "A long one", "method": "PUT", "path": "/words?n=3", "headers": map[string]any{"Accept": "text/plain"}, "body": "many words", "status": 201.0, "contains": "few"},
			map[string]any{"equals": "none at all"},
		},
		"try":   map[string]any{"env": map[string]any{"WORDS_MOST": "9 words"}, "secrets": map[string]any{"api-key": "for examples alone"}},
		"title": "Shorten", "categories": []any{"text"}, "icon": "https://example.com/i.png", "author": "Ann Example", "readme": "It drops the rest.",
	}
}

// leaves are the paths of all texts of a document, and of the keys that people choose.
func leaves(path []any, v any) [][]any {
	var all [][]any
	switch v := v.(type) {
	case string:
		all = append(all, path)
	case []any:
		for i, e := range v {
			all = append(all, leaves(append(slices.Clip(path), i), e)...)
		}
	case map[string]any:
		for k, e := range v {
			here := append(slices.Clip(path), k)
			if last := fmt.Sprint(path...); slices.Contains([]string{"runenv", "runlabels", "runannotations", "imageplatforms", "tryenv", "trysecrets"}, last) || strings.HasSuffix(last, "headers") {
				all = append(all, append(slices.Clip(here), "(key)"))
			}
			all = append(all, leaves(here, e)...)
		}
	}
	return all
}

// put replaces the text at a path, or a key.
func put(v any, path []any, text string) {
	for len(path) > 1 && !(len(path) == 2 && path[1] == "(key)") {
		if i, ok := path[0].(int); ok {
			v = v.([]any)[i]
		} else {
			v = v.(map[string]any)[path[0].(string)]
		}
		path = path[1:]
	}
	switch v := v.(type) {
	case []any:
		v[path[0].(int)] = text
	case map[string]any:
		key := path[0].(string)
		if len(path) == 2 {
			v[text] = v[key]
			delete(v, key)
		} else {
			v[key] = text
		}
	}
}

const (
	// hostileText tries to be HTML, a shell's command, YAML, control sequences of eight
	// and seven bits, another direction of writing, other columns and other lines.
	hostileText  = "MARK<b onclick=x>&\"'`$(id)`: {{.}}\x1b[2J\u009b31m\x07\u202e\tcol\r\nFAKE: line\nFAKE"
	hostileLine  = "MARK<b onclick=x>&\"'`$(id)`: {{.}}\x1b[2J\u009b31m\x07\u202e\tcol" // where a line end is refused
	hostileWord  = "MARK<b>\u009b"
	terminalText = "the terminal gets %q of %s"
)

// fnb runs a command in this process.
func fnb(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var files [2]*os.File
	for i := range files {
		f, err := os.Create(filepath.Join(t.TempDir(), "stream"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	root := newRoot(streams{in: os.Stdin, out: files[0], err: files[1]})
	root.SetArgs(args)
	code = report(files[1], root.ExecuteContext(t.Context()))
	var out [2]string
	for i, f := range files {
		data, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		out[i] = string(data)
	}
	return out[0], out[1], code
}

// hostileStore is a folder with a store that has a record for each text of one, in
// which that text is hostile; and which package is for which text. Those that no
// record may have are in bad instead.
func hostileStore(t *testing.T) (dir string, taken map[string]string, bad string) {
	t.Helper()
	dir, bad, taken = t.TempDir(), t.TempDir(), map[string]string{}
	write := func(dir, name string, doc any) {
		data, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{dir, bad} {
		write(d, "store.json", map[string]any{"v": 1, "origin": hostileText, "description": hostileText})
		write(d, "namespaces/acme.json", map[string]any{"v": 1})
	}
	for i, path := range leaves(nil, wholeRecord("")) {
		name := fmt.Sprintf("acme/f%02d", i)
		refused := true
		for _, text := range []string{hostileText, hostileLine, hostileWord} {
			rec := wholeRecord(name)
			put(rec, path, text)
			data, err := json.Marshal(rec)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := schema.ParseRecord("x", data); err == nil {
				refused = false
				taken[name] = fmt.Sprint(path)
				write(dir, "functions/"+name+"/v/1.0.0.json", rec)
				break
			}
		}
		if refused {
			rec := wholeRecord(name)
			put(rec, path, hostileText)
			write(bad, "functions/"+name+"/v/1.0.0.json", rec)
		}
	}
	// What is beside records.
	taken["acme/about"] = "package.json, yank.json"
	write(dir, "functions/acme/about/v/1.0.0.json", wholeRecord("acme/about"))
	old := wholeRecord("acme/about")
	old["vers"] = "0.9.0"
	write(dir, "functions/acme/about/v/0.9.0.json", old)
	write(dir, "functions/acme/about/v/0.9.0.yank.json", map[string]any{"v": 1, "reason": hostileText, "by": hostileText})
	write(dir, "functions/acme/about/package.json", map[string]any{"v": 1, "description": hostileText, "tags": []string{hostileText}, "deprecated": map[string]any{"reason": hostileText}})
	return dir, taken, bad
}

// TestHostileRecords shows records in which one text after the other means harm, in
// the terminal and on the page: each is shown, as text.
func TestHostileRecords(t *testing.T) {
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"} {
		t.Setenv(name, t.TempDir())
	}
	dir, taken, bad := hostileStore(t)
	if len(taken) < 15 {
		t.Errorf("only %d texts of a record are free: %v", len(taken), taken)
	}
	if out, errs, code := fnb(t, "store", "add", "acme", dir); code != 0 {
		t.Fatal(out, errs)
	}
	harmless(t, "the list", run3(t, "store", "list"))
	harmless(t, "the list as JSON", run3(t, "store", "list", "--json"))
	harmless(t, "a search", run3(t, "store", "search", "mark"))
	harmless(t, "the check", run3(t, "store", "check", dir))
	check := run3(t, "store", "check", bad)
	harmless(t, "the check of what no record may have", check)
	if n := strings.Count(check, "1.0.0.json: error: "); n < 20 {
		t.Errorf("only %d records are refused:\n%s", n, check)
	}
	page := servePage(t)
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range taken {
			if !yield(name) {
				return
			}
		}
	}) {
		what := taken[name]
		shown := run3(t, "store", "show", name)
		if harmless(t, what, shown); !strings.Contains(shown, "MARK<b") {
			shown = run3(t, "store", "show", name, "--readme")
			if harmless(t, what, shown); !strings.Contains(shown, "MARK<b") {
				t.Errorf("%s is not shown", what)
			}
		}
		for _, way := range deploy.Platforms() {
			out, errs, code := fnb(t, "store", "show", name, "--as", way.Name)
			harmless(t, what+" as "+way.Name, out+errs)
			if code == 0 && way.Shown && !way.Command {
				wellFormed(t, what+" as "+way.Name, out)
			}
		}
		checkJSON(t, what, name)
		text := page("/f/" + name + ".html")
		if strings.Contains(text, "MARK<b") || !strings.Contains(text, "MARK&lt;b") {
			at := max(0, strings.Index(text, "MARK"))
			t.Errorf("%s on its page: %.200s", what, text[at:])
		}
		harmless(t, what+" on its page", text)
	}
	for _, path := range []string{"/", "/?q=mark", "/search/0.js"} {
		text := page(path)
		if harmless(t, path, text); strings.Contains(text, "MARK<b") || !strings.Contains(text, "MARK") {
			t.Errorf("%s: %.300s", path, text)
		}
	}
}

// run3 is all that a command prints.
func run3(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, _ := fnb(t, args...)
	return out + errs
}

// harmless says whether a text drives a terminal, or has lines that were made up.
func harmless(t *testing.T, what, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if at := strings.IndexFunc(line, func(r rune) bool { return r != '\t' && plain.Acts(r) }); at >= 0 {
			t.Errorf(terminalText, line[max(0, at-40):at+4], what)
		}
		if strings.HasPrefix(line, "FAKE: line") && !strings.Contains(text, "FAKE: line\nFAKE") {
			t.Errorf("%s made up a line: %s", what, line)
		}
	}
}

// wellFormed reads manifests, which are no more than there should be.
func wellFormed(t *testing.T, what, text string) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var doc map[string]any
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil || doc["kind"] == nil || doc["FAKE"] != nil {
			t.Errorf("%s: %v\n%s", what, err, text)
			return
		}
	}
}

// checkJSON holds that show --json says the same as the record.
func checkJSON(t *testing.T, what, name string) {
	t.Helper()
	out, _, code := fnb(t, "store", "show", name, "--json")
	harmless(t, what+" as JSON", out)
	var got struct{ Record map[string]any }
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || !bytes.Contains([]byte(out), []byte("MARK")) {
		t.Errorf("%s as JSON: %v\n%s", what, err, out)
		return
	}
	if what == "package.json, yank.json" {
		return
	}
	found := false
	for _, path := range leaves(nil, wholeRecord("")) {
		if fmt.Sprint(path) != what {
			continue
		}
		for _, text := range []string{hostileText, hostileLine, hostileWord} {
			want := wholeRecord(name)
			put(want, path, text)
			found = found || reflect.DeepEqual(want, got.Record)
		}
	}
	if !found {
		t.Errorf("%s as JSON is not the record:\n%s", what, out)
	}
}

// servePage serves the page of all stores and returns a way of asking it.
func servePage(t *testing.T) func(path string) string {
	t.Helper()
	g := &globals{config: readConfig}
	st, err := g.newStore()
	if err != nil {
		t.Fatal(err)
	}
	var handler http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	handler, err = site.New(site.Options{
		Source: site.Stores{Store: st, Where: store.Scope{Root: t.TempDir()}, Deploy: siteDeployments},
		Hosts:  site.HostsOf("", server.Listener.Addr().(*net.TCPAddr)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return func(path string) string {
		res, err := server.Client().Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		data, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %v", path, res.StatusCode, err)
		}
		return string(data)
	}
}

// TestWholeRecord shows a record with everything: each value is in what show prints
// and on the page, and the record comes back as it is in the store. What there is to
// have is found out from the type, so that a new field has to be shown.
func TestWholeRecord(t *testing.T) {
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"} {
		t.Setenv(name, t.TempDir())
	}
	record := wholeRecord("acme/whole")
	ofTemplates := []string{"cksum", "source", "parts", "platforms", "", "-"}
	for i := range reflect.TypeFor[schema.Record]().NumField() {
		key, _, _ := strings.Cut(reflect.TypeFor[schema.Record]().Field(i).Tag.Get("json"), ",")
		if _, ok := record[key]; !ok && !slices.Contains(ofTemplates, key) {
			t.Errorf("the record has no %s", key)
		}
	}
	data, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := schema.ParseRecord("x", data)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []any{*rec.Image, rec.Image.Platforms["linux/amd64"], *rec.Run, *rec.Run.Limits, *rec.Built, *rec.Built.Git, rec.Examples[0], *rec.Try} {
		v := reflect.ValueOf(part)
		for i := range v.NumField() {
			key := v.Type().Name() + "." + v.Type().Field(i).Name
			if v.Field(i).IsZero() && key != "PlatformImage.Ref" && key != "Example.Equals" { // of OpenFaaS's lists; of another example
				t.Errorf("the record has no %s", key)
			}
		}
	}
	if again, err := rec.Marshal(); err != nil || !sameJSON(again, data) {
		t.Errorf("%v\n%s\n%s", err, again, data)
	}

	dir := t.TempDir()
	file := filepath.Join(dir, "functions", "acme", "whole", "v", "1.0.0.json")
	for name, data := range map[string][]byte{filepath.Join(dir, "store.json"): []byte(`{"v": 1}`), file: data} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, errs, code := fnb(t, "store", "add", "acme", dir); code != 0 {
		t.Fatal(errs)
	}
	shown := run3(t, "store", "show", "acme/whole") + run3(t, "store", "show", "acme/whole", "--readme")
	ask := servePage(t)
	page := html.UnescapeString(ask("/f/acme/whole.html"))
	if front := ask("/"); !strings.Contains(front, `<h2 id="new">`) || !strings.Contains(front, "<span>1.0.0, 2026-09-01</span>") {
		t.Error("the first page does not have it as new")
	}
	for _, command := range []string{"fnb new --from-store hash", "fnb test hash", "fnb run hash"} {
		if source := ask("/f/-/hash.html"); !strings.Contains(source, command) {
			t.Errorf("the page of a function that is source lacks %s", command)
		}
	}
	for _, path := range leaves(nil, record) {
		var value any = record
		for _, step := range path {
			if step == "(key)" {
				break
			}
			if i, ok := step.(int); ok {
				value = value.([]any)[i]
			} else if value = value.(map[string]any)[step.(string)]; path[len(path)-1] == "(key)" && step == path[len(path)-2] {
				value = step
			}
		}
		text := value.(string)
		if at, ok := strings.CutSuffix(text, "T10:00:00Z"); ok {
			text = at
		}
		for where, has := range map[string]string{"show": shown, "the page": page} {
			if !strings.Contains(has, text) && fmt.Sprint(path) != "[kind]" {
				t.Errorf("%s does not have %v: %s", where, path, text)
			}
		}
	}
	for _, text := range []string{"1.2 MB", "1.3 MB", "201", "read"} { // sizes, status, the file system that can only be read
		if !strings.Contains(shown, text) || !strings.Contains(page, text) {
			t.Errorf("%s is not shown", text)
		}
	}
	out, _, _ := fnb(t, "store", "show", "acme/whole", "--json")
	var got struct{ Record json.RawMessage }
	if err := json.Unmarshal([]byte(out), &got); err != nil || !sameJSON(got.Record, data) {
		t.Errorf("%v\n%s", err, out)
	}
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
