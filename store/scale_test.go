package store_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"fnb/internal/fixture"
	"fnb/schema"
	"fnb/store"
	"fnb/store/cache"
	"fnb/store/records"
)

// largeStore has the cache know a store of some templates with ten versions each.
func largeStore(tb testing.TB, templates int) *store.Finder {
	tb.Helper()
	s := newStore(tb, store.Options{StoresFile: filepath.Join(tb.TempDir(), "stores.json"), TTL: time.Hour, Offline: true})
	c := store.Store{Name: "large", URL: "https://large.example.com/store.git", Namespaces: []string{}}
	words := strings.Fields("http json queue image resize mail cron proxy cache stream table chart token parse render sort merge")
	feed := func(to records.Taker) error {
		for i := range templates {
			name := fmt.Sprintf("ns%03d/%s-%s-%05d", i*200/templates, words[i%len(words)], words[i/7%len(words)], i)
			p := records.StoredPackage{Name: name, About: schema.Package{V: 1, Description: "does " + words[i%len(words)] + " and " + words[i/11%len(words)] + " well enough for most", Tags: []string{words[i%5]}}}
			for v := range 10 {
				p.Versions = append(p.Versions, records.StoredVersion{Record: schema.Record{
					V: 1, Kind: schema.KindTemplate, Name: name, Version: fmt.Sprintf("1.%d.0", v), Checksum: "fnb1:sha256:" + strings.Repeat("0a", 32),
					Source:   schema.RecordSource{Git: schema.GitSource{URL: "https://large.example.com/t.git", Commit: strings.Repeat("9b", 20), Path: "template/x"}},
					Language: "go", Platforms: []string{"linux/amd64", "linux/arm64"}, License: "MIT",
				}})
			}
			if err := to.Add(p); err != nil {
				return err
			}
			if ns, _, _ := strings.Cut(name, "/"); len(c.Namespaces) == 0 || c.Namespaces[len(c.Namespaces)-1] != ns {
				c.Namespaces = append(c.Namespaces, ns)
			}
		}
		return nil
	}
	_, err := s.Cache().BuildIndex(cache.IndexState{URL: c.URL, Checked: time.Now()}, nil, feed)
	fixture.Must(tb, err)
	fixture.Must(tb, s.ChangeStores(tb.Context(), func([]store.Store) ([]store.Store, error) { return []store.Store{c}, nil }))
	return s
}

// TestLargeStore holds a small part of what the benchmarks measure.
func TestLargeStore(t *testing.T) {
	t.Parallel()
	s := largeStore(t, 2000)
	found, _, err := s.Search(t.Context(), []string{"resize", "queue"}, store.Scope{Root: t.TempDir()})
	if err != nil || len(found) == 0 || !strings.Contains(found[0].Name, "resize") && !strings.Contains(found[0].Name, "queue") {
		t.Errorf("%d found: %v", len(found), err)
	}
	versions, err := s.Versions(t.Context(), "ns000/http-http-00000")
	if err != nil || len(versions) != 10 || versions[0].Version != "1.9.0" {
		t.Errorf("%+v %v", versions, err)
	}
}

// BenchmarkLargeStore searches and resolves in a store of 20 000 templates with
// 200 000 versions, as each run of fnb does: from the files of the cache.
func BenchmarkLargeStore(b *testing.B) {
	s := largeStore(b, 20_000)
	root := b.TempDir()
	for name, words := range map[string]string{"search": "resize queue", "misspelt": "resise queeu"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				found, _, err := s.Search(b.Context(), strings.Fields(words), store.Scope{Root: root})
				if err != nil || len(found) == 0 {
					b.Fatal(len(found), err)
				}
			}
			b.ReportMetric(peak(b), "peak-MB")
		})
	}
	x, ok := s.Cache().OpenIndex("https://large.example.com/store.git")
	if !ok {
		b.Fatal("no index")
	}
	all := x.All(schema.KindTemplate)
	_, last, _ := strings.Cut(all[len(all)-1].Name, "/")
	b.Run("resolve", func(b *testing.B) {
		for b.Loop() {
			versions, err := s.Versions(b.Context(), "ns199/"+last)
			if err != nil || len(versions) != 10 {
				b.Fatal(versions, err)
			}
		}
	})
}

// peak is the most memory that the process has used, in megabytes.
func peak(b *testing.B) float64 {
	b.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.Sys) / 1e6
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		var kb float64
		if n, _ := fmt.Sscanf(lines.Text(), "VmHWM: %f kB", &kb); n == 1 {
			return kb / 1e3
		}
	}
	return 0
}
