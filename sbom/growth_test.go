package sbom_test

import (
	"testing"

	"fnb/internal/growth"
	"fnb/sbom"
)

// TestGrowth reads SBOMs that whoever may push attaches to an image: the time grows with their length. They are a sixteenth of
// what is read, which is minutes otherwise.
func TestGrowth(t *testing.T) {
	var readers []growth.Reader
	for _, c := range []struct{ what, before, part, after string }{
		{"packages of SPDX", `{"spdxVersion":"SPDX-2.3","packages":[{}`, `,{"SPDXID":"p#","name":"a","versionInfo":"1","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a@#"}]}`, `]}`},
		{"one package of SPDX", `{"spdxVersion":"SPDX-2.3","packages":[{}`, `,{"SPDXID":"p","name":"a","versionInfo":"1","comment":"#","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a@1"}]}`, `]}`},
		{"relationships", `{"spdxVersion":"SPDX-2.3","packages":[{"SPDXID":"p","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a@1"}]}],"relationships":[{}`, `,{"spdxElementId":"p","relatedSpdxElement":"p","relationshipType":"DEPENDS_ON"}`, `]}`},
		{"references", `{"spdxVersion":"SPDX-2.3","packages":[{"SPDXID":"p","externalRefs":[{}`, `,{"referenceType":"x"}`, `]}]}`},
		{"licences", `{"spdxVersion":"SPDX-2.3","hasExtractedLicensingInfos":[{}`, `,{"licenseId":"#","name":"x"}`, `]}`},
		{"a purl", `{"spdxVersion":"SPDX-2.3","packages":[{"SPDXID":"p","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a@1?a=b`, `&a#=b`, `"}]}]}`},
		{"components of CycloneDX", `{"bomFormat":"CycloneDX","components":[{}`, `,{"bom-ref":"#","name":"a","version":"1","purl":"pkg:npm/a@#"}`, `]}`},
		{"properties", `{"bomFormat":"CycloneDX","components":[{"purl":"pkg:npm/a@1","properties":[{}`, `,{"name":"#","value":"x"}`, `]}]}`},
		{"dependencies", `{"bomFormat":"CycloneDX","components":[{"bom-ref":"p","purl":"pkg:npm/a@1"}],"dependencies":[{}`, `,{"ref":"p","dependsOn":["p"]}`, `]}`},
		{"nested", `{"spdxVersion":"SPDX-2.3","x":`, `[`, ``},
	} {
		readers = append(readers, growth.Reader{Name: c.what, Size: sbom.MaxBytes / 16, Begin: func(size int) func() {
			data := []byte(c.before + growth.Numbered(c.part, size-len(c.before)-len(c.after)-len(c.part)) + c.after)
			return func() { _, _ = sbom.Read(data) }
		}})
	}
	growth.Check(t, readers...)
}

// FuzzRead reads any bytes as an SBOM, and writes what was read in both formats.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"spdxVersion":"SPDX-2.3","packages":[{"SPDXID":"p","name":"a","versionInfo":"1","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:deb/debian/a@1?arch=amd64"}]}]}`))
	f.Add([]byte(`{"bomFormat":"CycloneDX","components":[{"bom-ref":"p","name":"a","version":"1","purl":"pkg:npm/%40a/b@1"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := sbom.Read(data)
		if err != nil {
			return
		}
		for _, format := range []sbom.Format{sbom.FormatSPDX, sbom.FormatCycloneDX} {
			written, err := d.Write(format)
			if err != nil {
				continue
			}
			if again, err := sbom.Read(written); err != nil || len(again.Packages) > len(d.Packages) {
				t.Errorf("what was written as %s is read as %d packages of %d, %v", format, len(again.Packages), len(d.Packages), err)
			}
		}
	})
}
