package schema_test

import (
	"math"
	"testing"

	"fnb/schema"
)

func TestReportMarshal(t *testing.T) {
	t.Parallel()
	report := schema.Report{Seconds: 1.5, Functions: []schema.FunctionReport{
		{
			Name: "hello", Template: "go@>=1", Pin: &schema.Pin{Store: "official", Version: "1.0.0", Checksum: "fnb1:sha256:" + digits('a')},
			InputDigest: "sha256:" + digits('b'), Reference: "ghcr.io/acme/hello:1", Tags: []string{"1"}, Digest: "sha256:" + digits('c'),
			Platforms: []schema.PlatformReport{{Platform: "linux/amd64", Digest: "sha256:" + digits('d'), Size: 42}},
			Status:    "built", Seconds: map[string]float64{"solve": 1.25},
		},
		{Name: "b", Status: "failed", Error: "a\nb", Warnings: []string{"<w>"}},
	}}
	data, err := report.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/report/report.json", data)

	if data, err = (schema.Report{}).Marshal(); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/report/empty.json", data)

	if _, err := (schema.Report{Seconds: math.NaN()}).Marshal(); err == nil {
		t.Error("a report with NaN seconds was written")
	}
}
