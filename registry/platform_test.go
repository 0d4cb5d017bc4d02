package registry

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images"
	"fnb/schema"
)

// A platform without a variant is itself first, and then the one that has a variant.
func TestChoose(t *testing.T) {
	t.Parallel()
	of := func(platforms ...string) (all []v1.Descriptor) {
		for _, text := range platforms {
			p, err := schema.ParsePlatform(text)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, v1.Descriptor{Platform: &v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}})
		}
		return all
	}
	for _, tc := range []struct {
		want string
		all  []v1.Descriptor
		got  int // -1 is none
	}{
		{"linux/amd64", of("linux/amd64/v2", "linux/amd64"), 1},
		{"linux/amd64/v2", of("linux/amd64", "linux/amd64/v2"), 1},
		{"linux/arm64", of("linux/amd64", "linux/arm64/v8"), 1},
		{"linux/arm64/v8", of("linux/arm64"), 0},
		{"linux/arm", of("linux/arm/v6", "linux/arm/v7"), 1}, // v7 is what it means
		{"linux/arm/v5", of("linux/arm/v6", "linux/arm/v7"), -1},
		{"linux/amd64", of("linux/amd64", "linux/amd64"), -1},
		{"", of("linux/amd64"), 0},
		{"", of("linux/amd64", "linux/arm64"), -1},
	} {
		var want schema.Platform
		if tc.want != "" {
			want = images.PlatformOf(of(tc.want)[0])
		}
		one, err := choose("ref", tc.all, want)
		if (err == nil) != (tc.got >= 0) || err == nil && one.Platform != tc.all[tc.got].Platform {
			t.Errorf("%q of %v: %v, %v", tc.want, tc.all, one.Platform, err)
		}
	}
}
