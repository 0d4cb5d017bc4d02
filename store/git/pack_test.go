package git

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"errors"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// TestDeltaBomb checks a pack whose small delta stands for a gigabyte.
func TestDeltaBomb(t *testing.T) {
	t.Parallel()
	var pack bytes.Buffer
	pack.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x02")
	object := func(kind byte, size int, base, content []byte) {
		first := kind<<4 | byte(size&15)
		if size >>= 4; size > 0 {
			first |= 0x80
		}
		pack.WriteByte(first)
		for ; size > 0; size >>= 7 {
			b := byte(size & 0x7f)
			if size > 0x7f {
				b |= 0x80
			}
			pack.WriteByte(b)
		}
		pack.Write(base)
		z := zlib.NewWriter(&pack)
		_, err := z.Write(content)
		if err := errors.Join(err, z.Close()); err != nil {
			t.Fatal(err)
		}
	}
	object(3, 2, nil, []byte("hi"))
	h := plumbing.ComputeHash(plumbing.BlobObject, []byte("hi"))
	delta := []byte{2, 0x80, 0x80, 0x80, 0x80, 0x04, 0x90, 2} // from 2 bytes to 1 GiB
	object(7, len(delta), h[:], delta)
	sum := sha1.Sum(pack.Bytes())
	pack.Write(sum[:])
	err := checkPack(t.Context(), bytes.NewReader(pack.Bytes()), "bomb", Limits{}.withDefaults())
	if e, ok := errors.AsType[*LimitError](err); !ok || !strings.Contains(e.What, "1073741824") {
		t.Errorf("%v", err)
	}
	for cut := range pack.Len() - 20 {
		if err := checkPack(t.Context(), bytes.NewReader(pack.Bytes()[:cut]), "cut", Limits{}.withDefaults()); err == nil {
			t.Errorf("cut after %d bytes: no error", cut)
		}
	}
}

func TestDeltaTarget(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		in   []byte
		want int64
	}{
		{[]byte{5, 7, 0x90}, 7},
		{[]byte{0x80, 0x01, 0xff, 0xff, 0xff, 0x7f}, 0x0fffffff},
		{[]byte{5}, -1},
		{nil, -1},
		{[]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, -1},
	} {
		b := &beginning{}
		if _, err := b.Write(test.in); err != nil {
			t.Fatal(err)
		}
		if got := b.target(); got != test.want {
			t.Errorf("%x: %d, want %d", test.in, got, test.want)
		}
	}
}
