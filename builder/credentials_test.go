package builder

import (
	"context"
	"errors"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session/auth"

	"fnb/builder/buildcache"
)

// TestCredentialsAreOfTheBuild: a builder that asks for credentials gets those of the
// registries that it reads from and writes to, and of no other, under whichever name.
func TestCredentialsAreOfTheBuild(t *testing.T) {
	t.Parallel()
	req := Request{
		Recipe: Recipe{Images: []string{"debian:bookworm-slim", "ghcr.io/acme/base:1", "quay.io/acme/$NAME:1", "$REGISTRY/x"}, Bases: map[string]string{"bases.example.com/x:1": "sha256:0"}},

		Watchdog: Watchdog{Reference: "watchdog.example.com/fwatchdog:1"},
		Output:   Output{Push: []string{"push.example.com:5000/acme/hello:1"}},
		Caches:   Caches{CacheFrom: []buildcache.Cache{{Type: "registry", Attrs: map[string]string{"ref": "from.example.com/cache"}}, {Type: "s3", Attrs: map[string]string{"ref": "bucket.example.com/x"}}}, CacheTo: []buildcache.Cache{{Type: "registry", Attrs: map[string]string{"ref": "to.example.com/cache"}}}},

		Access: Access{Registries: []string{"mirror.example.com:5000"}},
	}
	asked := map[string]bool{}
	req.Credentials = func(_ context.Context, host string) (user, secret string, err error) {
		asked[host] = true
		return "me", "secret of " + host, nil
	}
	var opt client.SolveOpt
	if err := attach(&opt, &req, "digests.example.com/x:1"); err != nil {
		t.Fatal(err)
	}
	server, ok := opt.Session[0].(auth.AuthServer)
	if !ok {
		t.Fatalf("%T", opt.Session[0])
	}
	for host, want := range map[string]string{
		"registry-1.docker.io": "index.docker.io", "ghcr.io": "ghcr.io", "quay.io": "quay.io", "bases.example.com": "bases.example.com", "watchdog.example.com": "watchdog.example.com",
		"push.example.com:5000": "push.example.com:5000", "from.example.com": "from.example.com", "to.example.com": "to.example.com",
		"mirror.example.com:5000": "mirror.example.com:5000", "digests.example.com": "digests.example.com",
		"company.example.com": "", "push.example.com": "", "push.example.com:5001": "", "bucket.example.com": "", "evil.ghcr.io": "", "index.docker.io": "", "": "",
	} {
		got, err := server.Credentials(t.Context(), &auth.CredentialsRequest{Host: host})
		if err != nil || want == "" && (got.GetUsername() != "" || got.GetSecret() != "") || want != "" && got.GetSecret() != "secret of "+want {
			t.Errorf("%s: %q %v", host, got.GetSecret(), err)
		}
		if want == "" && asked[host] && host != dockerHub { // which Docker Hub is asked as
			t.Errorf("the user's files were asked for %s", host)
		}
	}
	req = Request{Access: Access{Credentials: req.Credentials}}
	if hosts := req.registries(); len(hosts) != 0 {
		t.Errorf("a build of nothing has %q", hosts)
	}
}

// TestClearText: no builder of another machine is reached without TLS unasked.
func TestClearText(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"tcp://127.0.0.1:1": true, "tcp://localhost:1": true, "tcp://[::1]:1": true, "tcp://127.9.9.9:1": true, "docker://127.0.0.1:2375": true, "docker:///var/run/docker.sock": true, "docker://": true,
		"tcp://one:1?tlsdir=/certs": true, "tcp://one:1?plaintext=true": true, "ssh://me@one": true, "kube-pod://x": true, "unix:///x": true,
		"tcp://one:1": false, "tcp://one:1?plaintext=false": false, "tcp://10.0.0.1:1": false, "tcp://localhost.example.com:1": false, "tcp://0.0.0.0:1": false, "tcp://[2001:db8::1]:1": false, "tcp://one:1?servername=x": false,
		"docker://one:2375": false, "tcp://127.0.0.1:1,tcp://one:1": false, "tcp://127.1:1": false,
	} {
		_, err := ParseAddresses(address, Options{})
		if _, refused := errors.AsType[*PlaintextError](err); refused == want || !refused && err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, o := range []Options{{Plaintext: true}, {TLSDir: "/certs"}} {
		if _, err := ParseAddresses("tcp://one:1,tcp://two:1", o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := Dial(t.Context(), Options{Address: "tcp://192.0.2.1:1"}); err == nil {
		t.Error("it was dialled")
	} else if _, refused := errors.AsType[*PlaintextError](err); !refused {
		t.Error(err)
	}
	if _, err := ParseAddresses("tcp://one:1?plaintext=maybe", Options{}); err == nil {
		t.Error("plaintext=maybe")
	}
}
