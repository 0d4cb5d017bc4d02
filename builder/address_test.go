package builder_test

import (
	"strings"
	"testing"

	"fnb/builder"
)

func TestParseAddresses(t *testing.T) {
	t.Parallel()
	base := builder.Options{TLSDir: "/certs"}
	tests := []struct{ list, want string }{
		{"unix:///run/b.sock", "unix:///run/b.sock|/certs|"},
		{" tcp://a:1 , tcp://b:2,, tcp://a:1", "tcp://a:1|/certs|; tcp://b:2|/certs|"},
		{"tcp://a:1?tlsdir=/own&servername=s,tcp://b:2", "tcp://a:1|/own|s; tcp://b:2|/certs|"},
		{"kube-pod://?selector=app=b,tier=c&namespace=n,tcp://b:2", "kube-pod://?selector=app=b,tier=c&namespace=n|/certs|; tcp://b:2|/certs|"},
		{"kube-pod://pod?container=c", "kube-pod://pod?container=c|/certs|"},
		{"docker://127.0.0.1:2375/", "docker://127.0.0.1:2375/|/certs|"},
		{"docker://run/docker.sock", "it has a host and a path"},
		{"docker://unix:///run/docker.sock", "it has a host and a path"},
		{"docker:/run/docker.sock", "must begin with one of unix://"},
		{"", "names no builder"},
		{"a:1,b:2", "must begin with one of unix://"},
		{"tcp://a:1?tls=x", `"tls" is not one of tlsdir, servername and plaintext`},
		{"tcp://a:1?%zz", "invalid URL escape"},
		{"kube-pod://?namespace=n", "it names neither a pod"},
		{"kube-pod://", "it names neither a pod"},
		{"kube-pod://?selector=a=b&pod=c", `"pod" is not one of`},
	}
	for _, tt := range tests {
		var got []string
		nodes, err := builder.ParseAddresses(tt.list, base)
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
