package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"fnb/internal/servers"
	"fnb/rebase/rebasetest"
	"fnb/registry"
	"fnb/registry/whole"
	"fnb/schema/words"
)

// A counted registry is one behind a door at which requests and bytes of bodies are counted.
type countedRegistry struct {
	host               string
	requests, up, down atomic.Int64
}

func countRegistry(t *testing.T) *countedRegistry {
	t.Helper()
	to, err := url.Parse(servers.RegistryFor(t, servers.RegistryOptions{}).URL)
	if err != nil {
		t.Fatal(err)
	}
	c := &countedRegistry{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
		},
		ModifyResponse: func(r *http.Response) error {
			r.Body = &countedBody{r.Body, &c.down}
			return nil
		},
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		r.Body = &countedBody{r.Body, &c.up}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	c.host = strings.TrimPrefix(front.URL, "http://")
	return c
}

type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// took is what was sent since it was asked last.
func (c *countedRegistry) took() string {
	kb := func(n *atomic.Int64) string { return fmt.Sprintf("%.1f", float64(n.Swap(0))/1024) }
	return fmt.Sprintf("%d; %s; %s", c.requests.Swap(0), kb(&c.up), kb(&c.down))
}

// TestRebaseRivals has fnb and crane replace the base image of one image for two platforms. What the table of docs/benchmarks.md
// says of them holds; with -update it is written.
func TestRebaseRivals(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	crane, err := servers.Tool(t.Context(), "crane")
	servers.Require(t, "registry", err)
	reg := countRegistry(t)
	client, err := registry.New(registry.Options{Anonymous: true})
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := rebasetest.Push(t.Context(), client, reg.host+"/team", 1)
	if err != nil {
		t.Fatal(err)
	}
	ref := fleet.Images[0]
	image, old := readWhole(t, client, ref), readWhole(t, client, fleet.Base)
	if err := fleet.Patch(t.Context(), "3.0.15"); err != nil {
		t.Fatal(err)
	}
	to := readWhole(t, client, fleet.Base)
	reg.took()
	run := func(program string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = r.bin
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	repository, base := strings.TrimSuffix(ref, ":1"), strings.TrimSuffix(fleet.Base, ":1")
	at := func(repository string, w *whole.Image, n int) string {
		return repository + "@" + w.Parts[n].Descriptor.Digest.String()
	}

	// crane takes no index, and each platform by itself.
	if out, err := run(crane, "rebase", ref, "--old_base", old.Pinned, "--new_base", fleet.Base, "--tag", repository+":index"); err == nil {
		t.Errorf("crane rebases an index: %s", out)
	}
	reg.took()
	for n, name := range []string{"amd64", "arm64"} {
		if out, err := run(crane, "rebase", at(repository, image, n), "--old_base", at(base, old, n), "--new_base", at(base, to, n), "--tag", repository+":crane-"+name); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	byCrane := reg.took()
	_, wrong := run(crane, "rebase", at(repository, image, 0), "--old_base", at(base, to, 0), "--new_base", at(base, old, 0), "--tag", repository+":wrong")
	if wrong == nil {
		t.Error("crane takes a base image that is not underneath")
	}
	if got := baseLabel(t, client, repository+":crane-amd64"); got != old.Descriptor.Digest.String() {
		t.Errorf("crane changes the configuration: it has %s", got)
	}
	reg.took()

	u := newUser(t, r)
	u.run("rebase", "--base", fleet.Base, "--plan", "plan.json", ref)
	plan := reg.took()
	u.run("rebase", "--apply", "plan.json", "--smoke", "none", "--attest", "none")
	bare := reg.took()
	made := readWhole(t, client, ref)
	if got := baseLabel(t, client, repository+"@"+made.Parts[0].Descriptor.Digest.String()); got != to.Descriptor.Digest.String() || len(made.Parts) != 2 {
		t.Errorf("fnb leaves %s", got)
	}
	u.run("rebase", "--undo", "plan.json")
	reg.took()
	u.run("rebase", "--apply", "plan.json", "--smoke", "none")
	evident := reg.took()
	table := rivalsOfRebase(plan, bare, evident, byCrane)
	t.Log("\n" + table)
	if *update {
		writeBenchmarks(t, "rebase", "", table)
	}
	if raw, err := os.ReadFile(filepath.FromSlash("../../docs/benchmarks.md")); err != nil || !strings.Contains(string(raw), "| `crane rebase`, of each platform |") {
		t.Errorf("docs/benchmarks.md has not the table: %v", err)
	}
}

func readWhole(t *testing.T, c *registry.Client, ref string) *whole.Image {
	t.Helper()
	w, err := whole.Read(t.Context(), c, ref)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// baseLabel is the digest of the base image that the configuration of an image names.
func baseLabel(t *testing.T, c *registry.Client, ref string) string {
	t.Helper()
	var config struct {
		Config struct{ Labels map[string]string } `json:"config"`
	}
	if err := json.Unmarshal(readWhole(t, c, ref).Parts[0].Config, &config); err != nil {
		t.Fatal(err)
	}
	return config.Config.Labels[words.LabelBaseDigest]
}

// rivalsOfRebase is the table of what was sent.
func rivalsOfRebase(plan, bare, evident, byCrane string) string {
	var s strings.Builder
	s.WriteString("| command | requests | sent, kB | received, kB |\n|---|---|---|---|\n")
	for _, row := range [][2]string{
		{"`fnb rebase --plan`, which looks into both base images", plan},
		{"`fnb rebase --apply --attest none`", bare},
		{"the same with SBOMs and provenance", evident},
		{"`crane rebase`, of each platform", byCrane},
	} {
		fmt.Fprintf(&s, "| %s | %s |\n", row[0], strings.ReplaceAll(row[1], "; ", " | "))
	}
	return s.String()
}
