package schema

import (
	"strings"
	"testing"
)

// What a record says that is attached to an image has a form, since pages show it.
func TestRecordEvidence(t *testing.T) {
	t.Parallel()
	key := "SHA256:" + strings.Repeat("A", 43)
	for name, c := range map[string]struct {
		change func(*RecordImage)
		want   string
	}{
		"all of it":         {func(i *RecordImage) { i.Provenance, i.SignedBy = "https://slsa.dev/provenance/v1", []string{key, key} }, ""},
		"another type":      {func(i *RecordImage) { i.Provenance = "javascript:alert(1)" }, "image.provenance"},
		"a long type":       {func(i *RecordImage) { i.Provenance = "https://" + strings.Repeat("a", 300) }, "image.provenance"},
		"no fingerprint":    {func(i *RecordImage) { i.SignedBy = []string{key, "ann"} }, "image.signedBy[1]"},
		"many keys":         {func(i *RecordImage) { i.SignedBy = make([]string, 21) }, "image.signedBy: has more than 20"},
		"packages that owe": {func(i *RecordImage) { i.Platforms["linux/amd64"] = PlatformImage{Digest: i.Digest, Packages: -1} }, "image.platforms.linux/amd64.packages"},
	} {
		image := &RecordImage{Ref: "ghcr.io/acme/hello:1", Digest: "sha256:" + strings.Repeat("0", 64)}
		image.Platforms = map[string]PlatformImage{"linux/amd64": {Digest: image.Digest, Packages: 9}}
		c.change(image)
		r := &storedReader{}
		r.image(image)
		err := r.err()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
