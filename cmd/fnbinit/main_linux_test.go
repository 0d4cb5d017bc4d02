package main

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestReadCmdline(t *testing.T) {
	t.Parallel()
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	for text, want := range map[string]cmdline{
		"":                                   {},
		"console=ttyS0 quiet ro fnb.overlay": {overlay: true},
		"reboot=k panic=1 fnb.vsock=8080":    {restart: true, vsock: 8080},
		"fnb.env.A=x%20y%3Dz fnb.env.B= fnb.env.C": {env: []string{"A=x y=z", "B=", "C="}},
		"ip=dhcp":            {net: network{dhcp: true}},
		"ip=::::box:eth1:on": {net: network{dhcp: true, host: "box", device: "eth1"}},
		"ip=off":             {},
		"ip=172.16.0.2::172.16.0.1:255.255.255.252:hello:eth0:off:1.1.1.1:8.8.8.8": {net: network{
			address: prefix("172.16.0.2/30"), gateway: addr("172.16.0.1"), host: "hello", device: "eth0", dns: []netip.Addr{addr("1.1.1.1"), addr("8.8.8.8")},
		}},
		"ip=10.0.0.9:::": {net: network{address: prefix("10.0.0.9/32")}},
	} {
		if got, err := readCmdline(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"ip=300.0.0.1::::":                 "ip=300.0.0.1::::: ",
		"ip=10.0.0.1:::255.0.255.0:":       "255.0.255.0 is not a mask",
		"fnb.env.A=%zz":                    "fnb.env.A=%zz: %zz is not",
		"fnb.env.A=b%2":                    "fnb.env.A=b%2: % is not followed",
		"fnb.vsock=65536":                  "fnb.vsock=65536: the port is not",
		"ip=10.0.0.1::gateway:255.0.0.0::": "gateway",
	} {
		if _, err := readCmdline(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestLookUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	passwd, group := filepath.Join(dir, "passwd"), filepath.Join(dir, "group")
	for name, text := range map[string]string{
		passwd: "root:x:0:0:root:/root:/bin/sh\napp:x:100:101:App:/home/app:/bin/sh\nbad:x:one:two:::\nshort:x\n",
		group:  "root:x:0:\napp:x:101:\nlogs:x:7:root,app\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for user, want := range map[string]account{
		"":         {home: "/root", groups: []uint32{7}},
		"app":      {uid: 100, gid: 101, groups: []uint32{7}, home: "/home/app"},
		"100":      {uid: 100, gid: 101, groups: []uint32{7}, home: "/home/app"},
		"app:logs": {uid: 100, gid: 7, home: "/home/app"},
		"65532":    {uid: 65532, home: "/"},
		"1000:50":  {uid: 1000, gid: 50, home: "/"},
	} {
		if got, err := lookUp(user, passwd, group); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", user, got, err)
		}
	}
	for _, user := range []string{"nobody", "bad", "app:none", "-1", "4294967296"} {
		if got, err := lookUp(user, passwd, group); err == nil {
			t.Errorf("%q: %+v", user, got)
		}
	}
	if got, err := lookUp("5:6", "/nowhere", "/nowhere"); err != nil || got.uid != 5 || got.gid != 6 {
		t.Errorf("%+v, %v", got, err)
	}
}

// answerTo is what an imitation of a DHCP server (RFC 2131) answers to a message.
func answerTo(m []byte, kind byte) []byte {
	a := make([]byte, fixedPart)
	a[0], a[1], a[2] = 2, 1, 6
	copy(a[4:8], m[4:8])
	copy(a[16:20], []byte{10, 0, 2, 15})
	copy(a[28:34], m[28:34])
	copy(a[236:], m[236:240])
	a = append(a, 0, 53, 1, kind, 1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 2, 2, 6, 8, 10, 0, 2, 3, 9, 9, 9, 9, 54, 4, 10, 0, 2, 2, 51, 4)
	return append(binary.BigEndian.AppendUint32(a, 86400), 255)
}

// imitation is a DHCP server that does what do says with the n-th message of a kind.
func imitation(t *testing.T, do func(n int, kind byte, m []byte) [][]byte) net.Addr {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0") //nolint:noctx // it ends with the test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	go func() {
		buf := make([]byte, 1500)
		for n := 0; ; n++ {
			size, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, a := range do(n, buf[fixedPart+2], buf[:size]) {
				_, _ = c.WriteTo(a, from)
			}
		}
	}()
	return c.LocalAddr()
}

func TestBorrow(t *testing.T) {
	t.Parallel()
	asker := func(server net.Addr) client {
		to, ok := server.(*net.UDPAddr)
		if !ok {
			t.Fatal(server)
		}
		own := unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
		s, err := openUDP("", own, unix.SockaddrInet4{Addr: own.Addr, Port: to.Port})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(s.fd) })
		return client{socket: s, id: 7, mac: []byte{2, 0, 0, 0, 0, 1}}
	}
	// The first message is lost, and what comes is not all for this client.
	server := imitation(t, func(n int, kind byte, m []byte) [][]byte {
		stranger := answerTo(m, kind+1)
		stranger[4]++
		cut := answerTo(m, offer)
		switch {
		case n == 0:
			return nil
		case kind == discover:
			return [][]byte{nil, stranger, cut[:fixedPart+5], answerTo(m, offer)}
		}
		return [][]byte{answerTo(m, offer), answerTo(m, ack)}
	})
	l, err := asker(server).borrow(time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddr
	want := lease{network: network{address: netip.MustParsePrefix("10.0.2.15/24"), gateway: addr("10.0.2.2"), dns: []netip.Addr{addr("10.0.2.3"), addr("9.9.9.9")}}, server: addr("10.0.2.2"), time: 24 * time.Hour}
	if !reflect.DeepEqual(l, want) {
		t.Errorf("%+v", l)
	}
	refusing := imitation(t, func(_ int, kind byte, m []byte) [][]byte {
		if kind == discover {
			return [][]byte{answerTo(m, offer)}
		}
		return [][]byte{answerTo(m, nak)}
	})
	if _, err := asker(refusing).borrow(time.Minute); !errors.Is(err, errRefused) {
		t.Error(err)
	}
	silent := imitation(t, func(int, byte, []byte) [][]byte { return nil })
	if _, err := asker(silent).borrow(10 * time.Millisecond); err == nil {
		t.Error("nobody answers")
	}
}

// No answer, whatever it is, is a panic.
func FuzzReadAnswer(f *testing.F) {
	c := client{id: 7, mac: []byte{2, 0, 0, 0, 0, 1}}
	m := c.message(discover, lease{})
	f.Add(answerTo(m, offer))
	f.Add(answerTo(m, offer)[:fixedPart+1])
	f.Fuzz(func(_ *testing.T, answer []byte) { c.readAnswer(answer) })
}
