package fleet

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/builder"
	"fnb/schema"
)

// membersOf are builders that nobody talks to: each has an address and platforms.
func membersOf(t *testing.T, specs ...string) []*member {
	t.Helper()
	var out []*member
	for i, spec := range specs {
		out = append(out, &member{client: placed{address: fmt.Sprintf("tcp://node%d:1234", i), lists: strings.Split(spec, ",")}, gone: make(chan struct{})})
	}
	return out
}

// A placed is a builder by its address and its platforms, the first of which is its
// machine's.
type placed struct {
	imageMaker
	address string
	lists   []string
}

func (p placed) Address() string { return p.address }

func (p placed) Fits(asked schema.Platform) (has, native bool) {
	own, err := platforms.Parse(p.lists[0])
	has = slices.Contains(p.lists, builder.PlatformName(asked))
	return has, err == nil && platforms.Only(own).Match(platforms.Normalize(ocispecs.Platform{OS: asked.OS, Architecture: asked.Architecture, Variant: asked.Variant}))
}

// Functions of one template go to one builder until it has its fill.
func TestAffinity(t *testing.T) {
	t.Parallel()
	f := New(Options{})
	f.members = membersOf(t, "linux/amd64", "linux/amd64", "linux/amd64", "linux/amd64")
	all := group{members: f.members}
	take := func(key string) string {
		t.Helper()
		n, err := f.take(all, key)
		if err != nil {
			t.Fatal(err)
		}
		return n.client.Address()
	}
	free := func() {
		for _, n := range f.members {
			n.busy = 0
		}
	}
	var got []string
	for range 40 {
		got = append(got, take("go@1"))
		if len(got) <= fleetLoad && got[len(got)-1] != got[0] {
			t.Errorf("the %dth went to %s, not to %s", len(got), got[len(got)-1], got[0])
		}
	}
	for _, n := range f.members {
		if n.busy < 4 || n.busy > 13 {
			t.Errorf("%s has %d of 40", n.client.Address(), n.busy)
		}
	}
	free()
	if take("go@1") != got[0] {
		t.Error("it moved without a reason")
	}

	// Ten thousand templates are spread evenly, and a builder that goes moves
	// only its own.
	before, count := map[string]string{}, map[string]int{}
	for i := range 10000 {
		key := fmt.Sprint("template", i)
		before[key] = take(key)
		count[before[key]]++
		free()
	}
	for address, n := range count {
		if n < 2300 || n > 2700 {
			t.Errorf("%s has %d of 10000", address, n)
		}
	}
	gone := f.members[2].client.Address()
	f.retire(f.members[2], errors.New("it has stopped answering"))
	for key, was := range before {
		if now := take(key); was != gone && now != was || now == gone {
			t.Fatalf("%s moved from %s to %s", key, was, now)
		}
		free()
	}
}

func TestCrews(t *testing.T) {
	t.Parallel()
	tests := []struct {
		members []string
		ps      string
		want    string // platforms=indices of members, by group
	}{
		{[]string{"linux/amd64,linux/386", "linux/amd64,linux/386"}, "linux/amd64", "linux/amd64=01"},
		{[]string{"linux/amd64,linux/386", "linux/arm64,linux/arm/v7"}, "linux/amd64 linux/arm64", "linux/amd64=0 linux/arm64=1"},
		{[]string{"linux/amd64,linux/386", "linux/arm64,linux/arm/v7"}, "linux/386 linux/amd64", "linux/386+linux/amd64=0"},
		{[]string{"linux/amd64", "linux/arm64"}, "linux/arm/v7 linux/arm64", "linux/arm/v7+linux/arm64=1"},
		{[]string{"linux/amd64,linux/arm64", "linux/amd64"}, "linux/amd64 linux/arm64", "linux/amd64+linux/arm64=0"}, // emulated
		{[]string{"linux/amd64,linux/arm64", "linux/arm64"}, "linux/amd64 linux/arm64", "linux/amd64=0 linux/arm64=1"},
		{[]string{"linux/amd64", "linux/amd64"}, "linux/s390x", "linux/s390x=01"}, // nobody's
		{[]string{"linux/amd64", "linux/arm64"}, "linux/arm64 linux/s390x", "linux/arm64+linux/s390x=1"},
		{[]string{"linux/amd64", "linux/arm64", "linux/amd64"}, "linux/amd64 linux/arm64", "linux/amd64=02 linux/arm64=1"},
	}
	for _, tt := range tests {
		members := membersOf(t, tt.members...)
		var got []string
		for _, c := range groups(members, platformsOf(t, strings.Fields(tt.ps)...)) {
			var ps []string
			for _, p := range c.platforms {
				ps = append(ps, p.String())
			}
			at := ""
			for _, n := range c.members {
				at += fmt.Sprint(slices.Index(members, n))
			}
			got = append(got, strings.Join(ps, "+")+"="+at)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s on %v: got %s, want %s", tt.ps, tt.members, s, tt.want)
		}
	}
}

func platformsOf(t *testing.T, names ...string) []schema.Platform {
	t.Helper()
	var out []schema.Platform
	for _, name := range names {
		p, err := schema.ParsePlatform(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}
