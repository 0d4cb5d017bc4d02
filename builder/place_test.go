package builder

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/platforms"

	"fnb/schema"
)

// nodesOf are builders that nobody talks to: each has an address and platforms.
func nodesOf(t *testing.T, specs ...string) []*node {
	t.Helper()
	var out []*node
	for i, spec := range specs {
		c := &Client{address: fmt.Sprintf("tcp://node%d:1234", i), lists: strings.Split(spec, ",")}
		p, err := platforms.Parse(c.lists[0])
		if err != nil {
			t.Fatal(err)
		}
		c.native = p
		out = append(out, &node{client: c, gone: make(chan struct{})})
	}
	return out
}

// Functions of one template go to one builder until it has its fill.
func TestAffinity(t *testing.T) {
	t.Parallel()
	f := NewFleet(FleetOptions{})
	f.nodes = nodesOf(t, "linux/amd64", "linux/amd64", "linux/amd64", "linux/amd64")
	all := crew{nodes: f.nodes}
	take := func(key string) string {
		t.Helper()
		n, err := f.take(all, key)
		if err != nil {
			t.Fatal(err)
		}
		return n.client.address
	}
	free := func() {
		for _, n := range f.nodes {
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
	for _, n := range f.nodes {
		if n.busy < 4 || n.busy > 13 {
			t.Errorf("%s has %d of 40", n.client.address, n.busy)
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
	gone := f.nodes[2].client.address
	f.retire(f.nodes[2], errSilent)
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
		nodes []string
		ps    string
		want  string // platforms=indices of nodes, by crew
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
		nodes := nodesOf(t, tt.nodes...)
		var got []string
		for _, c := range crews(nodes, platformsOf(t, strings.Fields(tt.ps)...)) {
			var ps []string
			for _, p := range c.platforms {
				ps = append(ps, p.String())
			}
			at := ""
			for _, n := range c.nodes {
				at += fmt.Sprint(slices.Index(nodes, n))
			}
			got = append(got, strings.Join(ps, "+")+"="+at)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s on %v: got %s, want %s", tt.ps, tt.nodes, s, tt.want)
		}
	}
}

func TestParseAddresses(t *testing.T) {
	t.Parallel()
	base := Options{TLSDir: "/certs"}
	tests := []struct{ list, want string }{
		{"unix:///run/b.sock", "unix:///run/b.sock|/certs|"},
		{" tcp://a:1 , tcp://b:2,, tcp://a:1", "tcp://a:1|/certs|; tcp://b:2|/certs|"},
		{"tcp://a:1?tlsdir=/own&servername=s,tcp://b:2", "tcp://a:1|/own|s; tcp://b:2|/certs|"},
		{"kube-pod://?selector=app=b,tier=c&namespace=n,tcp://b:2", "kube-pod://?selector=app=b,tier=c&namespace=n|/certs|; tcp://b:2|/certs|"},
		{"kube-pod://pod?container=c", "kube-pod://pod?container=c|/certs|"},
		{"", "names no builder"},
		{"a:1,b:2", "has to begin with one of unix://"},
		{"tcp://a:1?tls=x", `"tls" is none of tlsdir, servername and plaintext`},
		{"tcp://a:1?%zz", "invalid URL escape"},
		{"kube-pod://?namespace=n", "it names neither a pod"},
		{"kube-pod://", "it names neither a pod"},
		{"kube-pod://?selector=a=b&pod=c", `"pod" is none of`},
	}
	for _, tt := range tests {
		var got []string
		nodes, err := ParseAddresses(tt.list, base)
		for _, o := range nodes {
			got = append(got, o.Address+"|"+o.TLSDir+"|"+o.ServerName)
		}
		s := strings.Join(got, "; ")
		if err != nil {
			s = err.Error()
		}
		if err == nil && s != tt.want || err != nil && !strings.Contains(s, tt.want) {
			t.Errorf("%s: got %s, want %s", tt.list, s, tt.want)
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
