package origin_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"fnb/origin"
)

func parse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestOf(t *testing.T) {
	t.Parallel()
	for _, same := range [][2]string{
		{"https://h/", "HTTPS://H:443/x"}, {"http://h:080", "http://h"}, {"https://[::1]/", "https://[0:0:0:0:0:0:0:1]:443"},
	} {
		if a, b := origin.Of(parse(t, same[0])), origin.Of(parse(t, same[1])); a != b {
			t.Errorf("%+v %+v", a, b)
		}
	}
	for _, differ := range [][2]string{
		{"https://h", "http://h"},
		{"https://h", "https://h:8443"},
		{"https://h", "https://a.h"},
		{"https://h", "https://h."},
		{"http://h:443", "https://h"},
		{"https://127.0.0.1", "https://[::ffff:127.0.0.1]"},
		{"https://ſ", "https://s"},
	} {
		if a, b := origin.Of(parse(t, differ[0])), origin.Of(parse(t, differ[1])); a == b {
			t.Errorf("%q is %q", differ[0], differ[1])
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]error{
		"https://h/a%20b?x=1": nil, "https://h:8080/": nil, "https://[::1]:80/x": nil, "file:///x": nil, "https://bücher.example/": nil, "ssh://git@h/x": nil,
		"https://h/a%0ab": origin.ErrControl, "https://h/a%0D": origin.ErrControl, "https://h/%00": origin.ErrControl, "https://h/\n": origin.ErrControl,
		"https://a%0ab@h/": origin.ErrControl, "https://h/?q=%0a": origin.ErrControl, "https://h/#%0a": origin.ErrControl, "https://h/%c2%85": origin.ErrControl,
		"https://h/%e2%80%a8": origin.ErrControl, "file:///a%0a": origin.ErrControl,
		"https:///x": origin.ErrNoHost, "https://:80/x": origin.ErrNoHost, "https:x": origin.ErrNoHost, "https:/x": origin.ErrNoHost, "": origin.ErrNoHost,
		"https://-h/": origin.ErrMalformed, "https://a b/": origin.ErrMalformed, "https://h%2fx/": origin.ErrMalformed, `https://h"x/`: origin.ErrMalformed,
		"https://[::1%25eth0]/": origin.ErrMalformed, "https://h:x/": origin.ErrMalformed, "https://h,x/": origin.ErrMalformed, "https://h/?%zz": origin.ErrMalformed,
	} {
		if _, err := origin.Check(address); !errors.Is(err, want) || err != nil && want == nil {
			t.Errorf("%q: %v, want %v", address, err, want)
		}
	}
}

func TestReach(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]origin.Reach{
		"127.0.0.1": origin.Machine, "127.8.8.8:80": origin.Machine, "[::1]:80": origin.Machine, "0.0.0.0": origin.Machine, "::": origin.Machine,
		"169.254.169.254": origin.Machine, "fe80::1": origin.Machine, "localhost": origin.Machine, "a.LOCALHOST.": origin.Machine, "224.0.0.1": origin.Machine,
		"::ffff:127.0.0.1": origin.Machine, "64:ff9b::7f00:1": origin.Machine, "2002:7f00:1::": origin.Machine, "::127.0.0.1": origin.Machine,
		"fd00:ec2::254": origin.Machine, "255.255.255.255": origin.Machine,
		"10.0.0.1": origin.Network, "172.16.0.1": origin.Network, "192.168.1.1": origin.Network, "100.64.0.1": origin.Network, "fd00::1": origin.Network,
		"::ffff:10.0.0.1": origin.Network,
		"1.1.1.1":         origin.Public, "2606:4700::1": origin.Public, "172.32.0.1": origin.Public,
	} {
		if got, ok := origin.ReachOfHost(host); !ok || got != want {
			t.Errorf("%s: %v %v, want %v", host, got, ok, want)
		}
	}
	if _, ok := origin.ReachOfHost("example.com"); ok {
		t.Error("a name says where it is")
	}
	if origin.ReachOf(netip.Addr{}) != origin.Machine {
		t.Error("no address is not refused")
	}
}

// TestGuardLooksAtAddresses asks by a name that only DNS knows to be of this machine.
func TestGuardLooksAtAddresses(t *testing.T) {
	t.Parallel()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	// A resolver that knows one name.
	resolver := &net.Resolver{PreferGo: true, Dial: dnsOf(t, netip.MustParseAddr("127.0.0.1"))}
	for least, want := range map[origin.Reach]bool{origin.Machine: true, origin.Network: false, origin.Public: false} {
		g := origin.NewGuard(&http.Transport{}, net.Dialer{Resolver: resolver})
		g.Least = least
		before := asked
		resp, err := (&http.Client{Transport: g}).Get("http://inside.example.com:" + port + "/")
		if err == nil {
			resp.Body.Close()
		}
		refused, ok := errors.AsType[*origin.ReachError](err)
		if (err == nil) != want || want != (asked > before) || !want && (!ok || refused.Host != "inside.example.com") {
			t.Errorf("%v: %v, asked %d times", least, err, asked-before)
		}
		g.Exempt = func(host string) bool { return host == "inside.example.com:"+port }
		if resp, err := (&http.Client{Transport: g}).Get("http://inside.example.com:" + port + "/"); err != nil {
			t.Errorf("exempt: %v", err)
		} else {
			resp.Body.Close()
		}
		if nearest, most, ok := g.Met(); !ok || nearest != origin.Machine || most != origin.Machine {
			t.Errorf("met %v %v %v", nearest, most, ok)
		}
	}
}

// TestGuardDropsWhatWasShown is led to another port with the fields that net/http keeps.
func TestGuardDropsWhatWasShown(t *testing.T) {
	t.Parallel()
	var got http.Header
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	t.Cleanup(other.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusFound)
	}))
	t.Cleanup(server.Close)
	g := origin.NewGuard(&http.Transport{}, net.Dialer{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("u", "SECRET")
	req.Header.Set("Cookie", "k=SECRET")
	req.Header.Set("X-Kept", "y")
	resp, err := (&http.Client{Transport: g}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got.Get("Authorization") != "" || got.Get("Cookie") != "" || got.Get("X-Kept") != "y" {
		t.Errorf("%v", got)
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"https://u:p@h:80/a%0a?b=%0d#c", "https://[::1%25]/", "file:///x", "https://h%0a/", "https:x%0a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, address string) {
		u, err := origin.Check(address)
		if err != nil {
			return
		}
		o := origin.Of(u)
		password, _ := u.User.Password()
		for _, part := range []string{o.Scheme, o.HostPort(), u.User.Username(), password, u.Path, u.Opaque, u.Fragment} {
			if strings.ContainsFunc(part, unicode.IsControl) {
				t.Errorf("%q: %q", address, part)
			}
		}
		if u.Scheme != "file" && o.Host == "" || strings.ContainsAny(o.HostPort(), " /?#@\\") {
			t.Errorf("%q has the host %q", address, o.HostPort())
		}
		if again := origin.Of(&url.URL{Scheme: o.Scheme, Host: o.HostPort()}); again != o {
			t.Errorf("%q: %+v, again %+v", address, o, again)
		}
	})
}
