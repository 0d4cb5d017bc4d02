package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"fnb/internal/servers"
)

// listening are listeners of this machine: on its IPv4 and IPv6 loopback, on all of
// its addresses, and on an abstract socket.
func listening(t *testing.T) (four, six, all net.Addr, abstract string) {
	t.Helper()
	abstract = "@fnb-test-" + strings.ReplaceAll(t.Name(), "/", "-")
	listen := func(network, address string) net.Addr {
		l, err := new(net.ListenConfig).Listen(t.Context(), network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = fmt.Fprintln(c, "the machine's secret")
				_ = c.Close()
			}
		}()
		return l.Addr()
	}
	listen("unix", abstract)
	return listen("tcp4", "127.0.0.1:0"), listen("tcp6", "[::1]:0"), listen("tcp", ":0"), abstract
}

// outward is the address of this machine that others know.
func outward(t *testing.T) string {
	t.Helper()
	c, err := new(net.Dialer).DialContext(t.Context(), "udp", "192.0.2.1:9")
	servers.Require(t, "network", err)
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).IP.String()
}

// tries is a Dockerfile whose step connects to each address, and writes what it reached
// to /reached.
func tries(addresses ...string) string {
	var b strings.Builder
	b.WriteString(debian + "RUN touch /reached")
	for _, a := range addresses {
		if name, ok := strings.CutPrefix(a, "@"); ok {
			fmt.Fprintf(&b, ` && (perl -MSocket -e 'socket(S,AF_UNIX,SOCK_STREAM,0) && connect(S,pack_sockaddr_un("\0%s")) or die $!' && echo @%s >>/reached || true)`, name, name)
			continue
		}
		host, port, _ := net.SplitHostPort(a)
		fmt.Fprintf(&b, " && (timeout 5 bash -c 'read -r line </dev/tcp/%s/%s && test \"$line\"' && echo %s >>/reached || true)", host, port, a)
	}
	return b.String() + "\n"
}

// reached runs the tries, and returns what was reached.
func reached(t *testing.T, c *Client, addresses ...string) string {
	t.Helper()
	return read(t, rootFS(t, c, Request{Name: "f", Context: files("Dockerfile", tries(addresses...))}), "reached")
}

// A RUN step reaches nothing of the machine unless the settings say so, and tells
// clients which network its steps have.
func TestStepNetwork(t *testing.T) {
	t.Parallel()
	four, six, all, abstract := listening(t)
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
			m := managed(t, mirrors(t), c.flags...)
			start(t, m)
			client := dial(t, Options{Address: m.Address()})
			if got, want := reached(t, client, targets...), strings.Join(append(c.want, ""), "\n"); got != want {
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
	unable := func(m Managed) Managed {
		m.Command = append([]string{"setpriv", "--bounding-set=-net_admin"}, m.Command...)
		return m
	}
	m := unable(managed(t, nil))
	_, err := m.Start(t.Context())
	var ue *UnreachableError
	if !errors.As(err, &ue) || !strings.Contains(strings.Join(ue.Log, "\n"), "giving RUN steps a network of their own: ") || !strings.Contains(strings.Join(ue.Log, "\n"), "FNB_BUILDER_NETWORK=host") {
		t.Errorf("%v %+v", err, ue)
	}
	start(t, unable(managed(t, nil, "-network=host")))
	if err := Serve(context.Background(), managed(t, nil), ServeOptions{Reach: []string{"db.example.com:5432"}}); err == nil || !strings.Contains(err.Error(), "db.example.com") {
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
	m := managed(t, nil, "-reach="+named.Listener.Addr().String())
	start(t, m)
	c := dial(t, Options{Address: m.Address()})
	if got := read(t, rootFS(t, c, Request{Name: "f", Context: files("Dockerfile", "FROM scratch\nADD "+named.URL+"/here /x\n")}), "x"); got != "named" {
		t.Errorf("what is named gives %q", got)
	}
	_, port, _ := net.SplitHostPort(secret.Listener.Addr().String())
	for _, from := range []string{secret.URL + "/", "http://localhost:" + port + "/", named.URL + "/away", secret.URL + "/x.git", "git://localhost:" + port + "/x.git"} {
		_, err := c.Solve(t.Context(), Request{Name: "f", Context: files("Dockerfile", "FROM scratch\nADD "+from+" /x\n"), Output: Output{Local: t.TempDir()}})
		if err == nil || !strings.Contains(err.Error(), "is not reached from a build: it is this machine's loopback") {
			t.Errorf("ADD %s: %v", from, err)
		}
	}
}
