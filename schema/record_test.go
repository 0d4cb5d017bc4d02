package schema_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"fnb/schema"
)

// A marshaller is one of a store's files.
type marshaller interface{ Marshal() ([]byte, error) }

// storeParsers read each kind of a store's files.
func storeParsers() map[string]func(string, []byte) (marshaller, error) {
	return map[string]func(string, []byte) (marshaller, error){
		"store":     func(f string, d []byte) (marshaller, error) { return schema.ParseStoreFile(f, d) },
		"namespace": func(f string, d []byte) (marshaller, error) { return schema.ParseNamespace(f, d) },
		"package":   func(f string, d []byte) (marshaller, error) { return schema.ParsePackage(f, d) },
		"record":    func(f string, d []byte) (marshaller, error) { return schema.ParseRecord(f, d) },
		"yank":      func(f string, d []byte) (marshaller, error) { return schema.ParseYank(f, d) },
	}
}

func TestStoreFilesAreKept(t *testing.T) {
	t.Parallel()
	for kind, parse := range storeParsers() {
		for _, path := range files(t, "store/"+kind) {
			document, err := parse(path, readTestFile(t, path))
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			written, err := document.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			again, err := parse(path, written)
			if err != nil {
				t.Errorf("%s written again: %v", path, err)
				continue
			}
			if twice, err := again.Marshal(); err != nil || !bytes.Equal(written, twice) {
				t.Errorf("%s written twice: %v\n%s\n%s", path, err, written, twice)
			}
			for _, key := range []string{"mirrors", "renames", "checks"} {
				if bytes.Contains(readTestFile(t, path), []byte(key)) && !bytes.Contains(written, []byte(key)) {
					t.Errorf("%s: the unknown key %s is lost", path, key)
				}
			}
		}
	}
}

func TestParseRecordProblems(t *testing.T) {
	t.Parallel()
	good := string(readTestFile(t, filepath.Join("testdata", "store", "record", "full.json")))
	for _, test := range []struct{ old, new, want string }{
		{`"v": 1`, `"v": 2`, "its format is 2"},
		{`"v": 1,`, ``, "v: is missing"},
		{`"v": 1`, `"v": "1"`, "v: is a JSON string"},
		{`"kind": "template"`, `"kind": "module"`, "kind: "},
		{`"kind": "template"`, `"kind": "function"`, "cksum: does not belong to a function"},
		{`acme/go`, `go`, "name: "},
		{`acme/go`, `acme/Go`, "name: "},
		{`acme/go`, `acme/con`, "reserved"},
		{`acme/go`, `official/go`, "reserved"},
		{`acme/go`, `acme/../go`, "name: "},
		{`"1.4.2-rc.1"`, `"1.4"`, "vers: "},
		{`"1.4.2-rc.1"`, `"1.4.2+x"`, "build metadata"},
		{`"1.4.2-rc.1"`, `"../1.4.2"`, "vers: "},
		{`fnb1:sha256:6f`, `fnb1:sha256:6`, "cksum: "},
		{`https://github.com/acme/templates`, `https://ann:secret@github.com/acme/templates`, "credentials"},
		{`https://github.com/acme/templates`, `--upload-pack=x`, "source.git: "},
		{`https://github.com/acme/templates`, `./here`, "source.git: "},
		{`"9b1e`, `"9b1`, "not the full name of a git commit"},
		{`"template/go"`, `"../go"`, "not a path"},
		{`refs/tags/v1.4.2-rc.1`, `--x`, "not a git reference"},
		{`linux/arm64`, `linux/`, "platforms[1]"},
		{`>=0.3`, `new`, "fnb: "},
		{`"lang": "go"`, `"lang": 1`, "lang"},
		{`{`, `[{`, "is not JSON"},
		{`"license"`, strings.Repeat(" ", schema.MaxRecordSize) + `"license"`, "more than"},
	} {
		_, err := schema.ParseRecord("r.json", []byte(strings.Replace(good, test.old, test.new, 1)))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s for %s: %v, want %q", test.new, test.old, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("a password is shown: %v", err)
		}
		if newer := errors.Is(err, schema.ErrNewerFormat); newer != (test.new == `"v": 2`) {
			t.Errorf("%s: a newer format: %v", test.new, newer)
		}
	}
}

func TestParseOtherStoreFileProblems(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ kind, data, want string }{
		{"store", `{}`, "v: is missing"},
		{"store", ``, "is empty"},
		{"store", `null`, "v: is missing"},
		{"store", `[]`, "JSON array"},
		{"namespace", `{"v": 1, "owners": [" "]}`, "owners[0]: is empty"},
		{"package", `{"v": 1, "deprecated": {"reason": "x", "replacement": "go"}}`, "deprecated.replacement"},
		{"yank", `{"v": 1}`, "reason: is missing"},
		{"yank", `{"v": 1, "reason": "x", "severity": "bad"}`, "severity"},
		{"yank", `{"v": 1, "reason": "x", "use": "1"}`, "use"},
	} {
		if _, err := storeParsers()[test.kind]("x.json", []byte(test.data)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %s: %v, want %q", test.kind, test.data, err, test.want)
		}
	}
}

func FuzzParseStoreFiles(f *testing.F) {
	seed(f, "store/store", "store/namespace", "store/package", "store/record", "store/yank")
	f.Fuzz(func(t *testing.T, data []byte) {
		for kind, parse := range storeParsers() {
			document, err := parse("x.json", data)
			if err != nil {
				continue
			}
			written, err := document.Marshal()
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			if len(written) > schema.MaxRecordSize {
				continue // indented, it has become too large
			}
			again, err := parse("x.json", written)
			if err != nil {
				t.Fatalf("%s: %v\n%s", kind, err, written)
			}
			if twice, err := again.Marshal(); err != nil || !bytes.Equal(written, twice) {
				t.Errorf("%s written twice: %v\n%s\n%s", kind, err, written, twice)
			}
		}
		rec, err := schema.ParseRecord("x.json", data)
		if err != nil {
			return
		}
		if !filepath.IsLocal(filepath.FromSlash(rec.Name)) || strings.ContainsAny(rec.Version, "/\\") || strings.HasPrefix(rec.Source.Git.URL, "-") {
			t.Errorf("%+v was accepted", rec)
		}
	})
}

func TestParseFunctionRecordProblems(t *testing.T) {
	t.Parallel()
	good := string(readTestFile(t, filepath.Join("testdata", "store", "record", "function.json")))
	for _, test := range []struct{ old, new, want string }{
		{`ghcr.io/acme/shorten:1.0.0`, `https://ghcr.io/acme`, "image.ref: "},
		{`ghcr.io/acme/shorten:1.0.0`, `ghcr.io/acme/shorten@sha256:` + strings.Repeat("1", 64), "image.ref: "},
		{`"digest": "sha256:111`, `"digest": "sha256:11`, "image.digest: "},
		{`sha256:222`, `sha256:22`, "image.platforms.linux/amd64.digest: "},
		{`"linux/amd64"`, `"linux/x86_64"`, "must be written linux/amd64"},
		{`"linux/amd64"`, `"<script>"`, "image.platforms.<script>"},
		{`8123456`, `-1`, "size: is negative"},
		{`"image"`, `"picture"`, "image: is missing"},
		{`write_timeout`, `a b`, "run.env: "},
		{`"topic"`, `"\u001b[31m"`, "run.annotations: "},
		{`"api-key"`, `"../key"`, "run.secrets[0]"},
		{`64Mi`, `lots`, "run.limits: "},
		{`"method": "GET"`, `"method": "FETCH"`, "examples[1]: method"},
		{`/?n=3`, `//other.example`, "examples[1]: path"},
		{`"text/plain"`, `"x\r\nHost: y"`, "examples[1]: "},
		{`200, "contains"`, `99, "contains"`, "examples[0]: status"},
		{`"…"}`, `"…", "equals": "x"}`, "examples[0]: says both"},
		{`"text", "data"`, `"<b>"`, "categories: "},
		{`data:image/png;base64,`, `javascript:`, "icon: "},
		{`data:image/png;base64,`, `data:text/html;base64,`, "icon: "},
		{`"Shorten"`, `"` + strings.Repeat("x", 300) + `"`, "title: has 300 bytes"},
		{`"# Shorten`, `"` + strings.Repeat("x", schema.MaxReadmeSize), "readme: has"},
		{`"# Shorten`, `"` + strings.Repeat("x", 10<<20), "more than"},
	} {
		_, err := schema.ParseRecord("r.json", []byte(strings.Replace(good, test.old, test.new, 1)))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.60s for %s: %v, want %q", test.new, test.old, err, test.want)
		}
	}
	rec, err := schema.ParseRecord("r.json", []byte(good))
	if err != nil || strings.Join(rec.RunsOn(), " ") != "linux/amd64 linux/arm64" {
		t.Errorf("%v, runs on %v", err, rec.RunsOn())
	}
}
