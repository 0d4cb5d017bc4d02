package rawio

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// connected returns both ends of a connection, the first one direct.
func connected(t *testing.T) (*Conn, *net.TCPConn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = near.Close() // the test may have closed it
		_ = far.Close()  // the same
	})
	tcp, peer := near.(*net.TCPConn), far.(*net.TCPConn)
	conn, err := NewConn(tcp)
	if err != nil {
		t.Fatal(err)
	}
	return conn, tcp, peer
}

// isReset reports whether err says that the peer has reset the connection.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// eventually waits until ok is true, but not longer than limit.
func eventually(limit time.Duration, ok func() bool) bool {
	for end := time.Now().Add(limit); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// counting returns n bytes that tell where each of them belongs.
func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func TestConnCarriesEverything(t *testing.T) {
	t.Parallel()
	// More than any socket's buffer, and more than may go without an announced call.
	want := counting(3*announceAfter + 12345)
	for _, piece := range []int{1000, 64 << 10, len(want)} {
		direct, near, far := connected(t)
		sent := make(chan error, 1)
		go func() {
			for rest := want; len(rest) > 0; {
				n, err := direct.Write(rest[:min(piece, len(rest))])
				if err != nil {
					sent <- err
					return
				}
				rest = rest[n:]
			}
			sent <- near.CloseWrite()
		}()
		got, err := io.ReadAll(far)
		if werr := <-sent; err != nil || werr != nil || !bytes.Equal(got, want) {
			t.Errorf("writing pieces of %d: %d bytes of %d, %v, %v", piece, len(got), len(want), err, werr)
		}
		go func() {
			_, err := far.Write(want)
			sent <- errors.Join(err, far.CloseWrite())
		}()
		var back bytes.Buffer
		_, err = io.CopyBuffer(struct{ io.Writer }{&back}, direct, make([]byte, piece))
		if werr := <-sent; err != nil || werr != nil || !bytes.Equal(back.Bytes(), want) {
			t.Errorf("reading pieces of %d: %d bytes of %d, %v, %v", piece, back.Len(), len(want), err, werr)
		}
	}
}

func TestConnErrors(t *testing.T) {
	t.Parallel()
	one := make([]byte, 1)
	t.Run("nothing to read into", func(t *testing.T) {
		direct, _, _ := connected(t)
		if n, err := direct.Read(nil); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
	t.Run("the end", func(t *testing.T) {
		direct, _, far := connected(t)
		_ = far.CloseWrite() // it is open
		for range 2 {
			if n, err := direct.Read(one); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("%d, %v", n, err)
			}
		}
	})
	t.Run("a reset", func(t *testing.T) {
		direct, _, far := connected(t)
		_ = far.SetLinger(0) // makes Close a reset
		_ = far.Close()      // the point of the test
		_, err := direct.Read(one)
		var named *net.OpError
		if !isReset(err) || !errors.As(err, &named) || named.Op != "read" || named.Net != "tcp" {
			t.Errorf("reading: %v", err)
		}
		if _, err := direct.Write(one); !isReset(err) {
			t.Errorf("writing: %v", err)
		}
	})
	t.Run("a read that takes too long", func(t *testing.T) {
		direct, near, far := connected(t)
		_ = near.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) // it is open
		if n, err := direct.Read(one); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d, %v", n, err)
		}
		_ = near.SetReadDeadline(time.Time{}) // it is open
		if _, err := far.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if n, err := direct.Read(one); n != 1 || err != nil || one[0] != 'x' {
			t.Errorf("afterwards: %d, %v", n, err)
		}
	})
	t.Run("a write that takes too long", func(t *testing.T) {
		direct, near, far := connected(t)
		want := counting(64 << 20)
		_ = near.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)) // it is open
		n, err := direct.Write(want)
		if n == 0 || n == len(want) || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%d, %v", n, err)
		}
		_ = near.CloseWrite() // it is open
		if got, err := io.ReadAll(far); err != nil || !bytes.Equal(got, want[:n]) {
			t.Errorf("%d bytes of %d arrived, %v", len(got), n, err)
		}
	})
	t.Run("a closed connection", func(t *testing.T) {
		direct, near, _ := connected(t)
		waiting := make(chan error, 1)
		go func() {
			_, err := direct.Read(make([]byte, 1))
			waiting <- err
		}()
		_ = near.Close() // the point of the test
		if err := <-waiting; !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading: %v", err)
		}
		if _, err := direct.Write(one); !errors.Is(err, net.ErrClosed) {
			t.Errorf("writing: %v", err)
		}
	})
}

func TestReadable(t *testing.T) {
	t.Parallel()
	conn, near, far := connected(t)
	if conn.Readable() {
		t.Error("a quiet connection is readable")
	}
	if _, err := far.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if !eventually(5*time.Second, func() bool { return conn.Readable() }) {
		t.Error("a byte cannot be read")
	}
	if n, err := near.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("looking has taken it: %d, %v", n, err)
	}
	_ = far.CloseWrite() // it is open
	if !eventually(5*time.Second, func() bool { return conn.Readable() }) {
		t.Error("the end cannot be read")
	}
	_ = near.Close() // the point of the test
	if !conn.Readable() {
		t.Error("reading a closed connection would wait")
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	// More than a pipe holds, in lines below, at and above what is written at once.
	var lines []string
	for i := range 40 {
		lines = append(lines, strings.Repeat(string(rune('a'+i%26)), []int{1, 80, 4095, 4096, 4097, 70000}[i%6])+"\n")
	}
	want := strings.Join(lines, "")
	writeAll := func(t *testing.T, w io.Writer) {
		t.Helper()
		for _, line := range lines {
			if n, err := io.WriteString(w, line); n != len(line) || err != nil {
				t.Errorf("a line of %d bytes: %d, %v", len(line), n, err)
			}
		}
	}
	t.Run("a pipe that is read late", func(t *testing.T) {
		var ends [2]int
		if err := Pipe(&ends[0], &ends[1]); err != nil {
			t.Fatal(err)
		}
		r, w := os.NewFile(uintptr(ends[0]), "read"), os.NewFile(uintptr(ends[1]), "write") // blocking, as standard error is
		defer r.Close()
		go func() {
			writeAll(t, NewFile(w))
			_ = w.Close() // the reader sees its end
		}()
		time.Sleep(50 * time.Millisecond)
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
		}
	})
	t.Run("a named pipe, which must be asked for room", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		go func() {
			w, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Error(err)
				return
			}
			writeAll(t, NewFile(w))
			_ = w.Close() // the reader sees its end
		}()
		r, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		time.Sleep(50 * time.Millisecond)
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
		}
	})
	t.Run("a file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		writeAll(t, NewFile(file))
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
		}
		if _, err := NewFile(file).Write([]byte("x")); err == nil {
			t.Error("writing to a closed file is no error")
		}
	})
	t.Run("a pipe that nobody reads any more", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		_ = r.Close() // the point of the test
		if _, err := NewFile(w).Write([]byte("x")); err == nil {
			t.Error("writing is no error")
		}
	})
}
