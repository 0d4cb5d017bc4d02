package records_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"fnb/internal/fixture"
	"fnb/internal/growth"
	"fnb/schema"
	"fnb/store/cache"
	"fnb/store/git"
	"fnb/store/records"
)

// textOf is as many parts as a text of the size has room for; # in them is their number.
func textOf(size int, before, part, after string) []byte {
	var b bytes.Buffer
	b.WriteString(before)
	for n := 0; b.Len()+len(after) < size; n++ {
		b.WriteString(strings.ReplaceAll(part, "#", fmt.Sprintf("%06d", n)))
	}
	b.WriteString(after)
	return b.Bytes()
}

// snapshotOf is a snapshot with lines between its head and its end, packed.
func snapshotOf(t *testing.T, packages, versions int, lines []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := fmt.Fprintf(z, "{\"index\":{\"v\":1}}\n%s{\"end\":{\"packages\":%d,\"versions\":%d}}\n", lines, packages, versions)
	fixture.Must(t, errors.Join(err, z.Close()))
	return b.Bytes()
}

// readAll reads a snapshot, and returns how much of it was passed over.
func readAll(ctx context.Context, data []byte) (passed int, err error) {
	feed := records.ReadSnapshot(ctx, "http://x/", bytes.NewReader(data), git.New(git.Options{}).Limits().Unpacked)
	err = feed(records.Taker{Add: func(records.StoredPackage) error { return nil }, Pass: func(string, error) { passed++ }})
	return passed, err
}

const someRecord = `{"v":1,"kind":"template","name":"a/b","vers":"1.0.#","cksum":"fnb1:sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","source":{"git":{"url":"https://e.com/a","commit":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}},"parts":{"entrypoint":{},"handler":{"dir":"f"}}}`

// TestGrowth reads what attackers would write: the time and the memory grow with the
// length of an index or a list.
func TestGrowth(t *testing.T) {
	ctx := t.Context()
	begun := `{"package":{"kind":"template","name":"a/b"}}` + "\n"
	var readers []growth.Reader
	for _, c := range []struct{ what, before, line string }{
		{"versions", begun, `{"record":` + strings.ReplaceAll(someRecord, "1.0.#", "1.0.9#") + "}\n"},
		{"packages", "", `{"package":{"kind":"template","name":"a/p#"}}` + "\n" + `{"record":` + strings.ReplaceAll(strings.ReplaceAll(someRecord, "a/b", "a/p#"), "1.0.#", "1.0.0") + "}\n"},
		{"of a later kind", `{"package":{"kind":"later","name":"a/b"}}` + "\n", `{"record":{"x":"#"}}` + "\n"},
		{"of a later format", begun, `{"record":{"v":9}}` + "\n"},
		{"unknown keys", begun, `{"record":{"v":9,"k#":[[[[{}]]]]}}` + "\n"},
	} {
		readers = append(readers, growth.Reader{Name: "an index: " + c.what, Size: 4 << 20, Begin: func(size int) func() {
			data := snapshotOf(t, 0, 0, textOf(size, c.before, c.line, ""))
			return func() { _, _ = readAll(ctx, data) }
		}})
	}
	readers = append(readers, growth.Reader{Name: "an index: lines that say nothing", Size: records.MaxSnapshotIdle, Begin: func(size int) func() {
		data := snapshotOf(t, 0, 0, bytes.Repeat([]byte("{}\n"), size))
		return func() {
			if _, err := readAll(ctx, data); err != nil {
				t.Error(err)
			}
		}
	}})
	for _, c := range []struct{ what, before, part, after string }{
		{"numbers", "[0", ",0", "]"},
		{"lists", "[[]", ",[[[]]]", "]"},
		{"one template again", "[{}", `,{"template":"a","source":"b","repo":"https://e.com/a"}`, "]"},
		{"templates", "[{}", `,{"template":"a#","source":"b","repo":"https://e.com/a"}`, "]"},
		{"bad templates", "[{}", `,{"template":"\u001b#","repo":"https://e.com/a"}`, "]"},
		{"functions", `{"version":"0.2.0","functions":[{}`, `,{"name":"a#","images":{"x86_64":"a/b:1"}}`, "]}"},
		{"images", `{"version":"0.2.0","functions":[{"images":{"a":"b"`, `,"x#":"a"`, "}}]}"},
		{"labels", `{"version":"0.2.0","functions":[{"name":"a","images":{"x86_64":"a/b:1"},"labels":{"a":"b"`, `,"x#":"a"`, "}}]}"},
		{"keys", `{"version":"0.2.0"`, `,"k#":0`, "}"},
		{"a long name", `[{"template":"a`, `a`, `","source":"b","repo":"https://e.com/a"}]`},
	} {
		size := records.MaxListEntries * len(c.part)
		readers = append(readers, growth.Reader{Name: "a list: " + c.what, Size: min(size, 2<<20), Begin: func(size int) func() {
			data := textOf(size, c.before, c.part, c.after)
			return func() { _, _, _ = records.ReadList("https://x/", "ns", data) }
		}})
	}
	// A store that has changed is compared with what it was.
	readers = append(readers, growth.Reader{Name: "an index that has changed", Size: 8000, Begin: func(size int) func() {
		older, newer := versionsIndex(t, size, ""), versionsIndex(t, size, "x")
		return func() { fixture.Must(t, newer.Continues(older)) }
	}})
	growth.Check(t, readers...)
}

// versionsIndex is an index of one package with so many versions, which have a description.
func versionsIndex(t *testing.T, versions int, description string) *cache.Index {
	t.Helper()
	lines := []byte(`{"package":{"kind":"template","name":"a/b"}}` + "\n")
	for n := range versions {
		lines = append(lines, `{"record":`+strings.ReplaceAll(strings.Replace(someRecord, `"vers"`, `"description":"`+description+`","vers"`, 1), "#", strconv.Itoa(n))+"}\n"...)
	}
	c := cache.New(t.TempDir(), 0)
	data := snapshotOf(t, 1, versions, lines)
	st := cache.IndexState{URL: "https://x/" + description}
	x, err := c.BuildIndex(st, nil, records.ReadSnapshot(t.Context(), st.URL, bytes.NewReader(data), 1<<30))
	fixture.Must(t, err)
	return x
}

// TestIndexIsBounded has indexes with very many lines that say nothing.
func TestIndexIsBounded(t *testing.T) {
	t.Parallel()
	begun := `{"package":{"kind":"template","name":"a/b"}}` + "\n"
	for _, c := range []struct{ what, before, line string }{
		{"nothing", "", "{}\n"},
		{"what a later fnb writes", "", `{"later":"x"}` + "\n"},
		{"packages without versions", "", `{"package":{"kind":"template","name":"a/p#"}}` + "\n"},
		{"records that are none", begun, `{"record":{"v":1}}` + "\n"},
		{"records of another package", begun, `{"record":` + strings.ReplaceAll(someRecord, "a/b", "a/c") + "}\n"},
	} {
		lines := func(n int) []byte {
			var b bytes.Buffer
			b.WriteString(c.before)
			for i := range n {
				b.WriteString(strings.ReplaceAll(c.line, "#", fmt.Sprintf("%06d", i)))
			}
			return b.Bytes()
		}
		_, err := readAll(t.Context(), snapshotOf(t, 0, 0, lines(records.MaxSnapshotIdle+2)))
		if l, ok := errors.AsType[*git.LimitError](err); !ok || l.Limit != records.MaxSnapshotIdle {
			t.Errorf("%s: %v", c.what, err)
		}
		if _, err := readAll(t.Context(), snapshotOf(t, 0, 0, lines(records.MaxSnapshotIdle/2))); fixture.Is[*git.LimitError](err) {
			t.Errorf("fewer of %s: %v", c.what, err)
		}
	}
	// A kind that only a later fnb knows may have as many as it likes, up to the limit of all.
	later := append([]byte(`{"package":{"kind":"later","name":"a/b"}}`+"\n"), bytes.Repeat([]byte(`{"record":{"v":1}}`+"\n"), 3*records.MaxSnapshotIdle)...)
	if passed, err := readAll(t.Context(), snapshotOf(t, 1, 3*records.MaxSnapshotIdle, later)); err != nil || passed != 1 {
		t.Errorf("a later kind: %d passed over, %v", passed, err)
	}
	for _, list := range []string{"[0" + strings.Repeat(",0", records.MaxListEntries) + "]", `{"version":"0.2","functions":[0` + strings.Repeat(",0", records.MaxListEntries) + "]}"} {
		_, _, err := records.ReadList("https://x/", "ns", []byte(list))
		if l, ok := errors.AsType[*git.LimitError](err); !ok || l.Limit != records.MaxListEntries {
			t.Errorf("%.30s: %v", list, err)
		}
	}
}

// TestIndexEndsWithItsContext interrupts the reading of an index without end.
func TestIndexEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	begun := `{"index":{"v":1}}` + "\n" + `{"package":{"kind":"later","name":"a/b"}}` + "\n"
	go func() {
		_, err := io.WriteString(w, begun)
		for err == nil {
			_, err = io.WriteString(w, `{"record":{"v":1}}`+"\n")
		}
	}()
	time.AfterFunc(50*time.Millisecond, stop)
	err := records.ReadSnapshot(ctx, "http://x/", r, 1<<60)(records.Taker{Add: func(records.StoredPackage) error { return nil }, Pass: func(string, error) {}})
	fixture.Must(t, r.Close())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// FuzzIndex holds that the reader of an index never gives what the parsers of a store's
// files would refuse, and no two versions that are not in order.
func FuzzIndex(f *testing.F) {
	record := strings.ReplaceAll(someRecord, "#", "0")
	head, end := `{"index":{"v":1}}`+"\n", `{"end":{"packages":1,"versions":1}}`+"\n"
	pkg := `{"package":{"kind":"template","name":"a/b","about":{"v":1}}}` + "\n"
	f.Add([]byte(head + pkg + `{"record":` + record + "}\n" + end))
	f.Add([]byte(head + pkg + `{"record":` + record + `,"yanked":{"v":1,"reason":"x"}}` + "\n" + end))
	f.Add([]byte(head + `{"package":{"kind":"later","name":"a/b"}}` + "\n{\"record\":{}}\n{}\n" + end))
	f.Add([]byte(`{"index":{"v":2}}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		last, lastKind := "", ""
		err := records.ReadSnapshot(t.Context(), "http://x/", bytes.NewReader(data), 1<<20)(records.Taker{Pass: func(string, error) {}, Add: func(p records.StoredPackage) error {
			if lastKind != "" && records.ComparePackages(lastKind, last, p.Kind(), p.Name) >= 0 {
				t.Errorf("%s is behind %s", p.Name, last)
			}
			last, lastKind = p.Name, p.Kind()
			fixture.Must(t, schema.ValidatePackageName(p.Name))
			for i, v := range p.Versions {
				raw, err := v.Marshal()
				fixture.Must(t, err)
				if _, err := schema.ParseRecord("x", raw); err != nil && len(raw) <= schema.MaxRecordSize || v.Name != p.Name || v.Kind != p.Kind() {
					t.Errorf("%s: %s: %v", p.Name, raw, err)
				}
				if i > 0 && records.CompareVersions(p.Versions[i-1].Version, v.Version) >= 0 {
					t.Errorf("%s: %s is not in order", p.Name, v.Version)
				}
			}
			line := records.Summarize(p).Line()
			if m, ok := records.ParseSummary(line); !ok || m.Name != p.Name || strings.Count(line, "\n") != 1 {
				t.Errorf("%q is no line of the names", line)
			}
			return nil
		}})
		if err != nil && strings.ContainsAny(err.Error(), "\x1b\n\r") {
			t.Errorf("control characters in %q", err)
		}
	})
}

// FuzzList holds that an entry of a list of OpenFaaS's is used only where its name and
// its repository or images could be a record's, and that problems fit on a line.
func FuzzList(f *testing.F) {
	f.Add([]byte(`[{"template":"a","source":"b","repo":"https://e.com/a","recommended":"true","official":"true"}]`))
	f.Add([]byte(`{"version":"0.2.0","functions":[{"name":"a_b","images":{"x86_64":"a/b:1@sha256:x"},"labels":{"a":"b"},"icon":"x"}]}`))
	f.Add([]byte(`[{"template":"\u001b[2J","repo":"-x"},0,null]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		packs, problems, err := records.ReadList("https://x/", "ns", data)
		if err != nil && strings.ContainsAny(err.Error(), "\x1b\n\r") {
			t.Errorf("control characters in %q", err)
		}
		for _, p := range problems {
			if strings.ContainsAny(p.File+p.Err.Error(), "\x1b\r") {
				t.Errorf("control characters in %q: %q", p.File, p.Err)
			}
		}
		for i, p := range packs {
			fixture.Must(t, schema.ValidatePackageName(p.Name))
			if i > 0 && packs[i-1].Name >= p.Name || len(p.Versions) != 1 {
				t.Errorf("%q with %d versions behind %q", p.Name, len(p.Versions), packs[max(i-1, 0)].Name)
			}
			v := p.Versions[0]
			if v.OpenFaaS != nil {
				if ref, err := schema.ParseTemplateRef(v.OpenFaaS.Repo); err != nil || ref.Kind != schema.RefGit || strings.HasPrefix(ref.URL, "-") {
					t.Errorf("the repository %q: %v", v.OpenFaaS.Repo, err)
				}
				continue
			}
			if v.Image == nil || schema.ValidateImage(v.Image.Ref) != nil || v.Run == nil || schema.ValidateRun(*v.Run) != nil {
				t.Errorf("%+v is used", v.Record)
			}
		}
	})
}
