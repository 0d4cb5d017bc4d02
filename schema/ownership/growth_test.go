package ownership_test

import (
	"encoding/base64"
	"testing"

	"fnb/internal/growth"
	"fnb/schema"
	"fnb/schema/ownership"
)

const sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// TestGrowth reads what attackers would put into a store: the time grows with the length of the file.
func TestGrowth(t *testing.T) {
	var readers []growth.Reader
	for _, c := range []struct{ what, before, part, after string }{
		{"keys", `{"v":1,"namespace":"a","number":1,"threshold":1,"keys":[{"name":"a","key":"k","roles":["owner"]}`, `,{"name":"a#","key":"k#","roles":["x"]}`, `]}`},
		{"roles", `{"v":1,"namespace":"a","number":1,"threshold":1,"keys":[{"name":"a","key":"k","roles":["owner"`, `,"x#"`, `]}]}`},
		{"records", `{"v":1,"namespace":"a","number":1,"threshold":1,"keys":[],"records":["` + sum + `"`, `,"` + sum + `"`, `]}`},
		{"a name", `{"v":1,"namespace":"`, `a-`, `"}`},
		{"nested", `{"v":1,"x":`, `[`, ``},
	} {
		readers = append(readers, growth.Reader{Name: c.what, Size: schema.MaxRecordSize - 100, Begin: func(size int) func() {
			data := []byte(c.before + growth.Numbered(c.part, size-len(c.before)-len(c.after)-len(c.part)) + c.after)
			return func() { _, _ = ownership.ParseOwners("1.json", data) }
		}})
	}
	for _, c := range []struct{ what, before, part, after string }{
		{"signatures", `{"payloadType":"` + ownership.PayloadType + `","signatures":[{}`, `,{"keyid":"#"}`, `]}`},
		{"a payload", `{"payloadType":"` + ownership.PayloadType + `","signatures":[{}],"payload":"`, base64.StdEncoding.EncodeToString([]byte(`{"a":[`)), `"}`},
	} {
		readers = append(readers, growth.Reader{Name: c.what, Size: schema.MaxRecordSize - 100, Begin: func(size int) func() {
			data := []byte(c.before + growth.Numbered(c.part, size-len(c.before)-len(c.after)-len(c.part)) + c.after)
			return func() { _, _, _ = ownership.ParseEnvelope("1.sig", data) }
		}})
	}
	growth.Check(t, readers...)
}

func FuzzOwners(f *testing.F) {
	f.Add([]byte(`{"v":1,"namespace":"ann","number":1,"threshold":1,"keys":[{"name":"ann","key":"ssh-ed25519 AAAA","roles":["owner","publish"]}],"records":["` + sum + `"]}`))
	f.Add([]byte(`{"v":1,"namespace":"ann","number":2,"previous":"` + sum + `","threshold":1,"keys":[{"name":"ci","oidc":{"issuer":"https://x","subject":"y"},"roles":["owner"],"until":"2030-01-01T00:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := ownership.ParseOwners("1.json", data)
		if err != nil {
			return
		}
		written, err := o.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ownership.ParseOwners("1.json", written); err != nil || again.Number != o.Number || len(again.Keys) != len(o.Keys) {
			t.Errorf("what was written is read as %+v, %v", again, err)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	payload := base64.StdEncoding.EncodeToString([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"` + sum + `"}}],"predicateType":"` + ownership.PredicateType + `","predicate":{"origin":"x","signed":"2026-01-01T00:00:00Z"}}`))
	f.Add([]byte(`{"payloadType":"` + ownership.PayloadType + `","payload":"` + payload + `","signatures":[{"keyid":"SHA256:x","sig":"y"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, s, err := ownership.ParseEnvelope("1.sig", data)
		if err == nil && (len(e.Signatures) == 0 || s.PredicateType != ownership.PredicateType) {
			t.Errorf("%+v, %+v", e, s)
		}
		_ = s.Is(ownership.File{Name: "a"})
	})
}
