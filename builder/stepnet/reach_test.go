package stepnet

import (
	"errors"
	"net/netip"
	"testing"
)

func TestReach(t *testing.T) {
	t.Parallel()
	r, err := ParseReach([]string{"127.0.0.1:3128", "localhost:8081", "169.254.169.254:80", "0.0.0.0:99"})
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"127.0.0.1:80":                false,
		"127.9.9.9:80":                false,
		"[::1]:80":                    false,
		"[::ffff:127.0.0.1]:80":       false,
		"0.0.0.0:80":                  false,
		"0.1.2.3:80":                  false,
		"[::]:80":                     false,
		"169.254.169.253:80":          false,
		"169.254.169.254:8080":        false,
		"[fe80::1]:80":                false,
		"[fd00:ec2::254]:80":          false,
		"168.63.129.16:80":            false,
		"100.100.100.200:80":          false,
		"224.0.0.251:5353":            false,
		"[ff02::fb]:5353":             false,
		"255.255.255.255:67":          false,
		"127.0.0.1:3128":              true,
		"[::1]:3128":                  false,
		"127.0.0.1:8081":              true,
		"[::1]:8081":                  true,
		"[::ffff:127.0.0.1]:8081":     true,
		"127.0.0.1:99":                true,
		"169.254.169.254:80":          true,
		"[::ffff:169.254.169.254]:80": true,
	} {
		err := r.Check(t.Context(), netip.MustParseAddrPort(address))
		var refused *RefusedError
		if errors.As(err, &refused) == want || want && err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// Every address of this machine is refused, whatever interface has it.
func TestReachOwn(t *testing.T) {
	t.Parallel()
	own := ownAddresses(t)
	if len(own) == 0 {
		t.Fatal("this machine has no address")
	}
	for _, a := range own {
		var refused *RefusedError
		if err := (Reach{}).Check(t.Context(), netip.AddrPortFrom(a, 80)); !errors.As(err, &refused) {
			t.Errorf("%s: %v", a, err)
		}
	}
}

func TestParseReachBad(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "3128", "localhost", "localhost:0", "localhost:65536", "db.example.com:5432", "127.0.0.1:http", "::1:80"} {
		if _, err := ParseReach([]string{s}); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}
