package store_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/schema/checksum"
	"fnb/store"
	"fnb/store/publish"
	"fnb/store/records"
	"fnb/templates"
)

// checked is what Check says of a store, as lines.
func checked(t *testing.T, req publish.CheckRequest) string {
	t.Helper()
	verdict, err := publish.Check(t.Context(), newStore(t, store.Options{}), req)
	fixture.Must(t, err)
	var lines []string
	for _, p := range verdict.Problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

func TestCheck(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0", "1.1.0")
	namespace := "-- namespaces/acme.json --\n{\"v\": 1, \"owners\": [\"ann@example.com\"]}\n"
	commit(t, g, "store", servers.Commit{Files: storeTree(recs[0]) + namespace})
	dir := clone(t, g.RepoURL("store"))
	if got := checked(t, publish.CheckRequest{Dir: dir}); got != "" {
		t.Errorf("a good store: %s", got)
	}
	wrong, elsewhere, gone, yanked := recs[1], recs[1], recs[1], recs[0]
	wrong.sum = recs[0].sum
	elsewhere.name = "other/echo"
	gone.commit = strings.Repeat("1", 40)
	yanked.yank = "loud"
	changed := recs[0]
	changed.more = `, "license": "MIT"`
	ann := []string{"ann", "ann@example.com"}
	for name, test := range map[string]struct {
		files   string
		authors []string
		want    string // "" for no problem at all
	}{
		"a new version":         {storeTree(recs...) + namespace, ann, ""},
		"by somebody else":      {storeTree(recs...) + namespace, []string{"bob"}, "error: the namespace acme does not belong to bob"},
		"by nobody":             {storeTree(recs...) + namespace, nil, "warning: fnb does not know who proposes"},
		"taken over":            {storeTree(recs...) + strings.ReplaceAll(namespace, "ann", "bob"), []string{"bob@example.com"}, "error: the namespace acme does not belong to bob"},
		"withdrawn":             {storeTree(yanked) + namespace, ann, ""},
		"taken back":            {storeTree() + namespace, ann, "1.0.0.json: error: was taken back"},
		"changed":               {storeTree(changed) + namespace, ann, "1.0.0.json: error: was changed"},
		"no such commit":        {storeTree(recs[0], gone) + namespace, ann, "1.1.0.json: error: its template cannot be fetched"},
		"another checksum":      {storeTree(recs[0], wrong) + namespace, ann, "1.1.0.json: error: cksum: the template has fnb1:"},
		"a new namespace":       {storeTree(recs[0], elsewhere) + namespace, ann, "namespaces/other.json: error: is missing"},
		"not a version":         {storeTree(recs[0]) + namespace + "-- templates/acme/echo/v/new.json --\n{}\n", ann, "new.json: error: "},
		"another file":          {storeTree(recs[0]) + namespace + "-- templates/acme/echo/run.sh --\nx\n", ann, "run.sh: error: has no place"},
		"a bad name":            {storeTree(recs[0]) + namespace + "-- templates/acme/Echo/v/1.0.0.json --\n{}\n", ann, "templates/acme/Echo: error: "},
		"not JSON":              {storeTree(recs[0]) + namespace + "-- templates/acme/echo/v/2.0.0.json --\n{\n", ann, "2.0.0.json: error: "},
		"a link":                {storeTree(recs[0]) + namespace + "-- templates/acme/echo/v/2.0.0.json!l --\n1.0.0.json\n", ann, "2.0.0.json: error: it is not a plain file"},
		"a link that describes": {storeTree(recs[0]) + namespace + "-- templates/acme/echo/package.json!l --\n/etc/passwd\n", ann, "templates/acme/echo/package.json: error: it is not a plain file"},
		"a link alone":          {storeTree(recs[0]) + namespace + "-- templates/acme/other/package.json!l --\n../echo/package.json\n", ann, "templates/acme/other/package.json: error: it is not a plain file"},
		"a link that withdraws": {storeTree(recs[0]) + namespace + "-- templates/acme/echo/v/1.0.0.yank.json!l --\nx\n", ann, "1.0.0.yank.json: error: it is not a plain file"},
		"a link that owns":      {storeTree(recs[0]) + namespace + "-- namespaces/eve.json!l --\nacme.json\n", ann, "namespaces/eve.json: error: it is not a plain file"},
		"a link for functions":  {storeTree(recs[0]) + namespace + "-- functions!l --\ntemplates\n", ann, "functions: error: is not a folder"},
		"nothing to withdraw":   {storeTree(recs[0]) + namespace + "-- templates/acme/echo/v/2.0.0.yank.json --\n{\"v\": 1, \"reason\": \"x\"}\n", ann, "error: withdraws a version that is not there"},
		"another format":        {strings.Replace(storeTree(recs[0]), `{"v": 1}`, `{"v": 7}`, 1) + namespace, ann, "store.json: error: "},
		"a control character":   {storeTree(recs[0]) + namespace + "-- templates/acme/echo/\x1b[31m --\nx\n", ann, `"templates/acme/echo/\x1b[31m": error: `},
		"the version differs":   {storeTree(recs[0], rec{name: "acme/echo", version: "3.0.0", url: recs[1].url, commit: recs[1].commit, sum: recs[1].sum}) + namespace, ann, "3.0.0.json: error: vers: the template says 1.1.0"},
		"usable again, at last": {storeTree(recs[0]) + namespace, ann, ""},
	} {
		repo := "case-" + strings.Map(func(r rune) rune {
			if r < 'a' || r > 'z' {
				return '-'
			}
			return r
		}, name)
		commit(t, g, repo, servers.Commit{Files: storeTree(recs[0]) + namespace, Tag: "base"}, servers.Commit{Files: test.files})
		got := checked(t, publish.CheckRequest{Dir: clone(t, g.RepoURL(repo)), Base: "base", Authors: test.authors})
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	commit(t, g, "back", servers.Commit{Files: storeTree(yanked) + namespace, Tag: "base"}, servers.Commit{Files: storeTree(recs[0]) + namespace})
	if got := checked(t, publish.CheckRequest{Dir: clone(t, g.RepoURL("back")), Base: "base", Authors: ann}); !strings.Contains(got, "warning: makes a version") {
		t.Errorf("usable again: %s", got)
	}
	if _, err := publish.Check(t.Context(), newStore(t, store.Options{}), publish.CheckRequest{Dir: dir, Base: "nothing"}); err == nil {
		t.Error("a base that is not there")
	}
	if v, err := publish.Check(t.Context(), newStore(t, store.Options{}), publish.CheckRequest{Dir: t.TempDir()}); err != nil || len(v.Problems) != 1 || v.Problems[0].Severity != templates.SeverityError {
		t.Errorf("an empty folder: %v %v", v, err)
	}
}

// TestCheckDecides: what a change does to each file is told as it is, and who may have it merged without a person.
func TestCheckDecides(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0", "1.1.0")
	yanked, changed := recs[0], recs[0]
	yanked.yank, changed.more = "loud", `, "license": "MIT"`
	const described = "-- templates/acme/echo/package.json --\n{\"v\": 1, \"description\": \"x\"}\n"
	namespace := func(owners string) string {
		return "-- namespaces/acme.json --\n{\"v\": 1, \"owners\": [" + owners + "]}\n"
	}
	owned := namespace(`"Zordhalo", "ann@Example.com"`)
	for i, test := range []struct {
		base, head, author string
		decision           publish.Decision
		kind               string // of all changes
	}{
		{storeTree(recs[0]) + owned, storeTree(recs...) + owned, "Zordhalo", publish.DecisionMerge, "new version"},
		{storeTree(recs[0]) + owned, storeTree(recs...) + owned, "zordhalo", publish.DecisionMerge, "new version"},
		{storeTree(recs[0]) + owned, storeTree(recs...) + owned, "ann@example.COM", publish.DecisionMerge, "new version"},
		{storeTree(recs[0]) + owned, storeTree(recs...) + owned, "Ann@example.com", publish.DecisionRefuse, "new version"},
		{storeTree(recs[0]) + owned, storeTree(recs...) + owned, "ann", publish.DecisionRefuse, "new version"},
		{storeTree(recs[0]) + owned, storeTree(recs...) + owned, "zordhal\u00f6", publish.DecisionRefuse, "new version"},
		{storeTree(recs[0]) + namespace(`"kim"`), storeTree(recs...) + namespace(`"kim"`), "\u212aim", publish.DecisionRefuse, "new version"},
		{storeTree() + owned, storeTree(recs[0]) + owned, "zordhalo", publish.DecisionMerge, "new package"},
		{storeTree(recs...) + owned, storeTree(recs[0]) + owned, "zordhalo", publish.DecisionRefuse, "removed version"},
		{storeTree(recs[0]) + owned, storeTree(changed) + owned, "zordhalo", publish.DecisionRefuse, "changed version"},
		{storeTree(recs[0]) + owned, storeTree(yanked) + owned, "zordhalo", publish.DecisionMerge, "withdrawal"},
		{storeTree(yanked) + owned, storeTree(recs[0]) + owned, "zordhalo", publish.DecisionReview, "withdrawal taken back"},
		{storeTree(recs[0]) + owned + described, storeTree(recs[0]) + owned, "zordhalo", publish.DecisionRefuse, "removed description"},
		{storeTree(recs[0]) + owned, storeTree(recs[0]) + namespace(`"Zordhalo", "mallory"`), "zordhalo", publish.DecisionReview, "owners"},
		{storeTree(recs[0]) + owned, storeTree(recs[0]) + namespace(`"Zordhalo"`), "zordhalo", publish.DecisionReview, "owners"},
		{storeTree() + owned, storeTree(), "zordhalo", publish.DecisionRefuse, "removed namespace"},
	} {
		repo := fmt.Sprintf("decide-%d", i)
		commit(t, g, repo, servers.Commit{Files: test.base, Tag: "base"}, servers.Commit{Files: test.head})
		v, err := publish.Check(t.Context(), newStore(t, store.Options{}), publish.CheckRequest{Dir: clone(t, g.RepoURL(repo)), Base: "base", Authors: []string{test.author}})
		fixture.Must(t, err)
		if v.Decision != test.decision || strings.Join(v.Labels, ",") != "store: "+string(test.decision)+","+test.kind {
			t.Errorf("%d: %s by %s: %v, labels %q, reasons %q, problems %v", i, test.kind, test.author, v.Decision, v.Labels, v.Reasons, v.Problems)
		}
	}
}

// generateFrom writes the index of the store in a folder.
// TestCheckSubmodules: git has what is neither a file nor a link, and none of it is a file of a store.
func TestCheckSubmodules(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0")
	const deprecated = "-- templates/acme/echo/package.json --\n{\"v\": 1, \"deprecated\": {\"reason\": \"malware\"}}\n"
	commit(t, g, "store", servers.Commit{Files: storeTree(recs[0]) + "-- namespaces/acme.json --\n{\"v\": 1, \"owners\": [\"ann\"]}\n" + deprecated, Tag: "base"})
	for file, want := range map[string]string{
		"templates/acme/echo/package.json":      "it is not a plain file",
		"templates/acme/new/package.json":       "it is not a plain file",
		"templates/acme/new":                    "has no place in a store",
		"templates/acme/echo/v/1.0.0.yank.json": "it is not a plain file",
		"templates/acme/echo/v/2.0.0.json":      "it is not a plain file",
		"namespaces/new.json":                   "it is not a plain file",
		"functions":                             "is not a folder",
		"store.json":                            "it is not a plain file",
	} {
		dir := clone(t, g.RepoURL("store"))
		runGit(t, dir, "rm", "-q", "--cached", "--ignore-unmatch", file)
		runGit(t, dir, "update-index", "--add", "--cacheinfo", "160000,"+recs[0].commit+","+file)
		runGit(t, dir, "-c", "user.name=ann", "-c", "user.email=ann@example.com", "commit", "-q", "-m", "a submodule")
		v, err := publish.Check(t.Context(), newStore(t, store.Options{}), publish.CheckRequest{Dir: dir, Base: "base", Authors: []string{"ann"}})
		fixture.Must(t, err)
		if got := fmt.Sprint(v.Problems); v.Decision != publish.DecisionRefuse || !strings.Contains(got, file+": error: "+want) {
			t.Errorf("%s: %s: %s", file, v.Decision, got)
		}
	}
}

func generateFrom(t *testing.T, dir, out string) (records.Generated, error) {
	t.Helper()
	r, err := records.Open(t.Context(), dir)
	fixture.Must(t, err)
	defer r.Close()
	return r.Generate(t.Context(), out, nil, nil)
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	recs := published(t, g, "1.0.0", "1.1.0", "1.2.0")
	recs[2].yank = "loud"
	recs[1].more = `, "later": {"b": 1, "a": 2}`
	files := strings.ReplaceAll(storeTree(recs...), "acme/echo", "acme/acme")
	commit(t, g, "store", servers.Commit{Files: files + "-- templates/acme/later/v/1.0.0.json --\n{\"v\": 9}\n-- templates/acme/acme/package.json --\n{\"v\": 1, \"tags\": [\"x\"]}\n"})
	dir := clone(t, g.RepoURL("store"))
	out := filepath.Join(t.TempDir(), "site", "index")
	sum := ""
	for range 2 {
		made, err := generateFrom(t, dir, out)
		fixture.Must(t, err)
		if made.Packages != 1 || made.Versions != 3 || len(made.Passed) != 1 {
			t.Errorf("%+v", made)
		}
		again, err := checksum.Of(os.DirFS(out))
		fixture.Must(t, err)
		if sum != "" && sum != again {
			t.Error("the index of one commit is not always the same")
		}
		sum = again
		fixture.Must(t, os.WriteFile(filepath.Join(dir, "templates", "uncommitted"), nil, 0o644))
	}
	f, err := os.Open(filepath.Join(out, "names.ndjson.gz"))
	fixture.Must(t, err)
	z, err := gzip.NewReader(f)
	fixture.Must(t, err)
	names, err := io.ReadAll(z)
	fixture.Must(t, err)
	fixture.Must(t, f.Close())
	if diff := cmp.Diff(`{"name":"acme/acme","latest":"1.1.0","lang":"test","description":"says acme/acme","tags":["x"]}`+"\n", string(names)); diff != "" {
		t.Error(diff)
	}
	lines, err := os.ReadFile(filepath.Join(out, "t", "acme", "acme.ndjson"))
	fixture.Must(t, err)
	if n := strings.Count(string(lines), "\n"); n != 3 || !strings.Contains(string(lines), `"later":{"a":2,"b":1}`) || !strings.Contains(string(lines), `"yanked":{"v":1,"reason":"loud"}`) {
		t.Errorf("%s", lines)
	}
	// What is made for OpenFaaS can be read as OpenFaaS' list.
	data, err := os.ReadFile(filepath.Join(out, "compat", "templates.json"))
	fixture.Must(t, err)
	var entries []map[string]string
	fixture.Must(t, json.Unmarshal(data, &entries))
	if len(entries) != 1 || entries[0]["template"] != "acme" || entries[0]["repo"] != recs[1].url+"#sha-"+recs[1].commit {
		t.Errorf("%s", data)
	}
	s := withStores(t, store.Options{})
	_, _, err = s.AddStore(t.Context(), "faas", filepath.Join(out, "compat", "templates.json"), nil)
	fixture.Must(t, err)
	if _, pin, _, err := s.Resolve(t.Context(), "acme/acme", store.Scope{Root: t.TempDir()}); err != nil || pin.Version != "1.1.0" || pin.Checksum != recs[1].sum {
		t.Errorf("%+v %v", pin, err)
	}
	full := t.TempDir()
	fixture.Must(t, os.WriteFile(filepath.Join(full, "mine"), nil, 0o644))
	for _, bad := range []string{full, filepath.Join(full, "mine")} {
		if _, err := generateFrom(t, dir, bad); err == nil {
			t.Errorf("%s was replaced", bad)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(out), ".index-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
