package buildertest

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"fnb/builder"
	"fnb/internal/fixture"
)

// Listening are listeners of this machine: on its IPv4 and IPv6 loopback, on all of
// its addresses, and on an abstract socket.
func Listening(t *testing.T) (four, six, all net.Addr, abstract string) {
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

// tries is a Dockerfile whose step connects to each address, and writes what it reached
// to /reached.
func tries(addresses ...string) string {
	var b strings.Builder
	b.WriteString(Debian + "RUN touch /reached")
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

// Reached runs the tries, and returns what was reached.
func Reached(t *testing.T, c *builder.Client, addresses ...string) string {
	t.Helper()
	return fixture.Read(t, RootFS(t, c, builder.Request{Name: "f", Context: fixture.Files("Dockerfile", tries(addresses...))}), "reached")
}
