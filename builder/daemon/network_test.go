package daemon_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/builder/daemon"
	"fnb/builder/managed"
	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// outward is the address of this machine that others know.
func outward(t *testing.T) string {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "udp", "192.0.2.1:9")
	servers.Require(t, "network", err)
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).IP.String()
}

// A RUN step reaches nothing of the machine unless the settings say so, and tells
// clients which network its steps have.
func TestStepNetwork(t *testing.T) {
	t.Parallel()
	four, six, all, abstract := buildertest.Listening(t)
	_, port, _ := net.SplitHostPort(all.String())
	everywhere := net.JoinHostPort(outward(t), port)
	targets := []string{four.String(), six.String(), everywhere, "0.0.0.0:" + port, abstract}
	for _, c := range []struct {
		name    string
		network string
		flags   []string
		want    []string
	}{
		{"own", "own", nil, nil},
		{"named", "own", []string{"-reach=" + four.String() + "," + everywhere}, []string{four.String(), everywhere}},
		{"host", "host", []string{"-network=host"}, targets},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := buildertest.NewManaged(t, buildertest.Mirrors(t), c.flags...)
			buildertest.Start(t, m)
			client := buildertest.Connect(t, builder.Options{Address: m.Address()})
			if got, want := buildertest.Reached(t, client, targets...), strings.Join(append(c.want, ""), "\n"); got != want {
				t.Errorf("reached %q, want %q", got, want)
			}
			if info, err := client.Info(t.Context()); err != nil || info.Network != c.network {
				t.Errorf("%+v %v", info, err)
			}
		})
	}
}

// A builder that cannot give steps a network of their own does not start, and names the
// way out; nothing gives them the machine's instead.
func TestStepNetworkMissing(t *testing.T) {
	t.Parallel()
	unable := func(m managed.Builder) managed.Builder {
		m.Command = append([]string{"setpriv", "--bounding-set=-net_admin"}, m.Command...)
		return m
	}
	m := unable(buildertest.NewManaged(t, nil))
	_, err := m.Start(t.Context())
	var ue *builder.UnreachableError
	if !errors.As(err, &ue) || !strings.Contains(strings.Join(ue.Log, "\n"), "giving RUN steps a network of their own: ") || !strings.Contains(strings.Join(ue.Log, "\n"), "FNB_BUILDER_NETWORK=host") {
		t.Errorf("%v %+v", err, ue)
	}
	buildertest.Start(t, unable(buildertest.NewManaged(t, nil, "-network=host")))
	if err := daemon.Serve(context.Background(), buildertest.NewManaged(t, nil), daemon.Options{Reach: []string{"db.example.com:5432"}}); err == nil || !strings.Contains(err.Error(), "db.example.com") {
		t.Error(err)
	}
}

// ADD reaches what a RUN step does, whatever leads to it.
func TestAddNetwork(t *testing.T) {
	t.Parallel()
	secret := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the machine's secret") }))
	t.Cleanup(secret.Close)
	named := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, secret.URL, http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "named")
	}))
	t.Cleanup(named.Close)
	m := buildertest.NewManaged(t, nil, "-reach="+named.Listener.Addr().String())
	buildertest.Start(t, m)
	c := buildertest.Connect(t, builder.Options{Address: m.Address()})
	if got := fixture.Read(t, buildertest.RootFS(t, c, builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\nADD "+named.URL+"/here /x\n")}), "x"); got != "named" {
		t.Errorf("what is named gives %q", got)
	}
	_, port, _ := net.SplitHostPort(secret.Listener.Addr().String())
	for _, from := range []string{secret.URL + "/", "http://localhost:" + port + "/", named.URL + "/away", secret.URL + "/x.git", "git://localhost:" + port + "/x.git"} {
		_, err := c.Solve(t.Context(), builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\nADD "+from+" /x\n"), Output: builder.Output{Local: t.TempDir()}})
		if err == nil || !strings.Contains(err.Error(), "is not reached from a build: it is this machine's loopback") {
			t.Errorf("ADD %s: %v", from, err)
		}
	}
}
