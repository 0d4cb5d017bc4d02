package audit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fnb/audit/osv"
	"fnb/internal/growth"
	"fnb/sbom"
)

const vexHead = `{"@context":"https://openvex.dev/ns/v0.2.0","timestamp":"2026-01-01T00:00:00Z","statements":[{"vulnerability":{"name":"CVE-0"},"products":[{"@id":"pkg:npm/x"}],"status":"fixed"}`

// found are findings in the package a, and the functions that have it.
func found(findings, functions int) ([]Finding, Question) {
	var q Question
	var names []string
	for i := range functions {
		name := fmt.Sprintf("f%d", i)
		names = append(names, name)
		q.Subjects = append(q.Subjects, Subject{Name: name, Image: "ghcr.io/acme/" + name + ":1", Document: sbom.Document{Subject: sbom.Subject{Name: "ghcr.io/acme/" + name}}})
	}
	out := make([]Finding, findings)
	for i := range out {
		out[i] = Finding{Kind: Vulnerability, ID: fmt.Sprintf("CVE-%d", i), Aliases: []string{fmt.Sprintf("GHSA-%d", i)}, Package: "a", PURL: "pkg:npm/a@1.0.0", Functions: append([]string(nil), names...)}
	}
	return out, q
}

// TestGrowth has documents say a lot: the time grows with their length, also where there are many findings.
// They are an eighth of what is read, which is minutes otherwise.
func TestGrowth(t *testing.T) {
	var readers []growth.Reader
	for _, c := range []struct {
		what, before, part, after string
		findings, functions       int
	}{
		{"statements", vexHead, `,{"vulnerability":{"name":"CVE-#"},"products":[{"@id":"pkg:npm/a"}],"status":"not_affected","justification":"x"}`, `]}`, 5_000, 1},
		{"statements about one hole", vexHead, `,{"vulnerability":{"name":"CVE-1"},"products":[{"@id":"f#"}],"status":"fixed"}`, `]}`, 2, maxNames},
		{"aliases", vexHead + `,{"vulnerability":{"name":"CVE-1","aliases":[""`, `,"GHSA-#"`, `]},"products":[{"@id":"pkg:npm/a"}],"status":"fixed"}]}`, 1000, 1},
		{"products", vexHead + `,{"vulnerability":{"name":"CVE-1"},"status":"fixed","products":[{"@id":"x"}`, `,{"@id":"ghcr.io/acme/f#"}`, `]}]}`, 2, maxNames},
		{"identifiers", vexHead + `,{"vulnerability":{"name":"CVE-1"},"status":"fixed","products":[{"@id":"x","identifiers":{"x":""`, `,"a#":"f#"`, `}}]}]}`, 2, maxNames},
		{"parts", vexHead + `,{"vulnerability":{"name":"CVE-1"},"status":"fixed","products":[{"@id":"f1","subcomponents":[{"@id":"x"}`, `,{"@id":"pkg:npm/b#"}`, `]}]}]}`, 2, maxNames},
		{"nested", vexHead + `,{"products":`, `[`, ``, 1, 1},
	} {
		readers = append(readers, growth.Reader{Name: c.what, Size: maxVEX / 8, Begin: func(size int) func() {
			data := []byte(c.before + growth.Numbered(c.part, size-len(c.before)-len(c.after)-len(c.part)) + c.after)
			return func() {
				findings, q := found(c.findings, c.functions)
				v, err := parseVEX(data)
				if err == nil {
					q.VEX = []VEX{v}
					suppress(findings, q)
				}
			}
		}})
	}
	// Parts in parts, as deep as JSON may be.
	readers = append(readers, growth.Reader{Name: "parts in parts", Size: 3000, Begin: func(size int) func() {
		data := []byte(vexHead + `,{"vulnerability":{"name":"CVE-1"},"status":"fixed","products":[` + strings.Repeat(`{"@id":"a","subcomponents":[`, size) + strings.Repeat(`]}`, size) + `]}]}`)
		return func() {
			if _, err := parseVEX(data); err != nil {
				t.Error(err)
			}
		}
	}})
	// Advisories of which each has an alias of the next one, and all are one hole at the end.
	readers = append(readers, growth.Reader{Name: "a chain of aliases", Size: 100_000, Begin: func(size int) func() {
		all := make([]osv.Advisory, size)
		for i := range all {
			all[i] = osv.Advisory{ID: fmt.Sprintf("X-%d", i), Aliases: []string{fmt.Sprintf("X-%d", i+1)}}
		}
		return func() {
			if n := len(merge(all, "npm")); n != 1 {
				t.Errorf("%d holes", n)
			}
		}
	}})
	growth.Check(t, readers...)
}

func FuzzVEX(f *testing.F) {
	f.Add([]byte(vexHead + `]}`))
	f.Add([]byte(vexHead + `,{"vulnerability":{"@id":"https://x/CVE-1"},"products":[{"@id":"pkg:oci/f0@sha256%3Aaa","subcomponents":[{"@id":"pkg:npm/a"}]}],"status":"not_affected","impact_statement":"x"}]}`))
	f.Add([]byte(vexHead + `,{"vulnerability":"CVE-1","products":["f0"],"status":"fixed"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := parseVEX(data)
		if err != nil {
			return
		}
		findings, q := found(3, 2)
		q.VEX, q.Now = []VEX{v}, time.Unix(0, 0)
		suppress(findings, q)
		for _, f := range findings {
			if len(f.Functions) == 0 && f.Suppressed == nil {
				t.Errorf("a finding is in nothing: %+v", f)
			}
		}
	})
}
