package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fnb/cmd/fwatchdog/internal/wire"
)

// witness is a function that reads requests byte by byte, with no parser that would forgive anything, writes down each
// one that is complete, and answers the first of them as the test says.
type witness struct {
	listener net.Listener
	last     chan struct{} // one value for each bell that was rung
	ended    *sync.Cond    // a connection has ended

	mu     sync.Mutex
	open   int // connections
	script script
	played chan struct{} // closed once the script's answer is out
	seen   []string
}

// script is what a witness answers to the first request.
type script struct {
	parts []string // one write each; none: as to every other request
	early bool     // without reading the body
	ends  bool     // the connection is closed after it
}

func newWitness(tb testing.TB) *witness {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	w := &witness{listener: l, last: make(chan struct{})}
	w.ended = sync.NewCond(&w.mu)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			w.mu.Lock()
			w.open++
			w.mu.Unlock()
			go w.serve(conn)
		}
	}()
	return w
}

func (w *witness) address() string { return w.listener.Addr().String() }

func (w *witness) end() { _ = w.listener.Close() }

// begin has the witness answer the next request by a script.
func (w *witness) begin(s script) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.script, w.played, w.seen = s, make(chan struct{}), nil
}

// bell is what a connection begins with that comes after all others.
const bell = "\a"

// testimony returns what the witness has seen, once everybody who talked to it has closed the connection.
func (w *witness) testimony(tb testing.TB) []string {
	tb.Helper()
	conn, err := net.Dial("tcp", w.address())
	if err != nil {
		tb.Fatal(err)
	}
	_, _ = io.WriteString(conn, bell) // who is rung at listens
	<-w.last
	_ = conn.Close() // it has been heard
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.open > 0 {
		w.ended.Wait()
	}
	return w.seen
}

func (w *witness) serve(conn net.Conn) {
	defer func() {
		_ = conn.Close() // the end of it
		w.mu.Lock()
		w.open--
		w.ended.Broadcast()
		w.mu.Unlock()
	}()
	_ = conn.SetDeadline(time.Now().Add(patience)) // it is open
	in := bufio.NewReader(conn)
	if first, err := in.Peek(1); err == nil && string(first) == bell {
		w.last <- struct{}{}
		return
	}
	for w.answer(conn, in) {
	}
}

// answer reads and answers one request, and reports whether another may follow.
func (w *witness) answer(conn net.Conn, in *bufio.Reader) bool {
	head, err := readWitnessed(in)
	if err != nil {
		return false
	}
	if head.host == w.address() {
		head.host = "" // http.Transport says so where the client does not
	}
	w.mu.Lock()
	script, played, first := w.script, w.played, len(w.seen) == 0
	w.mu.Unlock()
	early := first && script.early
	if !early && !head.takeBody(conn, in) {
		return false
	}
	w.mu.Lock()
	first = len(w.seen) == 0
	w.seen = append(w.seen, head.text())
	w.mu.Unlock()
	if !first || len(script.parts) == 0 {
		_, err = io.WriteString(conn, head.plainAnswer())
		return err == nil && !head.odd
	}
	defer close(played)
	for _, part := range script.parts {
		if _, err := io.WriteString(conn, part); err != nil {
			return false
		}
	}
	switch {
	case strings.HasPrefix(script.parts[0], "HTTP/1.1 101 "):
		talk(conn, in)
		return false
	case early && !script.ends:
		return head.readBody(in) == nil
	}
	return !script.ends
}

// talk is the protocol after an upgrade: it answers the first line with itself, and ends.
func talk(conn net.Conn, in *bufio.Reader) {
	line, err := in.ReadString('\n')
	if err == nil {
		_, _ = io.WriteString(conn, "you said "+line) // the test sees it
	}
}

// witnessed is a request as its bytes have it.
type witnessed struct {
	line    string
	host    string
	expects bool
	fields  []string // sorted by name, in the order they came for one name
	trailer []string
	body    []byte
	odd     bool // framed in a way that leaves a doubt

	length  int64
	chunked bool
}

func readWitnessed(in *bufio.Reader) (*witnessed, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	h := &witnessed{line: trimLine(line)}
	lengths, codings := 0, 0
	for {
		if line, err = in.ReadString('\n'); err != nil {
			return nil, err
		}
		if line = trimLine(line); line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		name, value = strings.ToLower(name), strings.Trim(value, " \t")
		switch name {
		case "content-length":
			lengths++
			h.length, err = strconv.ParseInt(value, 10, 64)
			h.odd = h.odd || err != nil
		case "transfer-encoding":
			codings++
			h.chunked = true
			h.odd = h.odd || value != "chunked"
		case "host":
			if h.host != "" {
				value = h.host + " AND " + value
			}
			h.host = value
		case "expect":
			h.expects = wire.Listed([]string{value}, "100-continue")
			h.fields = append(h.fields, name+": "+value)
		case "trailer", "x-auth-seconds":
		case "connection":
			if strings.EqualFold(value, "upgrade") {
				h.fields = append(h.fields, name+": "+value)
			}
		default:
			h.fields = append(h.fields, name+": "+value)
		}
	}
	h.odd = h.odd || lengths+codings > 1
	sortFields(h.fields)
	return h, nil
}

// trimLine cuts the line end off, and marks one that is not as it has to be.
func trimLine(line string) string {
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return strings.TrimSuffix(line, "\n") + "<bare LF>"
	}
	return text
}

func sortFields(fields []string) {
	name := func(field string) string {
		before, _, _ := strings.Cut(field, ":")
		return before
	}
	slices.SortStableFunc(fields, func(a, b string) int { return strings.Compare(name(a), name(b)) })
}

// takeBody reads the body, which it asks for where the client waits for that.
func (h *witnessed) takeBody(conn net.Conn, in *bufio.Reader) bool {
	if h.expects && (h.chunked || h.length > 0) {
		if _, err := io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return false
		}
	}
	return h.readBody(in) == nil
}

func (h *witnessed) readBody(in *bufio.Reader) error {
	var err error
	if !h.chunked {
		h.body = make([]byte, h.length)
		_, err = io.ReadFull(in, h.body)
		return err
	}
	if h.body, err = io.ReadAll(httputil.NewChunkedReader(in)); err != nil {
		return err
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		if line = trimLine(line); line == "" {
			sortFields(h.trailer)
			return nil
		}
		name, value, _ := strings.Cut(line, ":")
		h.trailer = append(h.trailer, strings.ToLower(name)+": "+strings.TrimSpace(value))
	}
}

func (h *witnessed) method() string {
	method, _, _ := strings.Cut(h.line, " ")
	return method
}

// text is the request in a form that can be compared: what only concerns the connection is left out.
func (h *witnessed) text() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nhost: %s", h.line, h.host)
	for _, field := range h.fields {
		b.WriteString("\n" + field)
	}
	if len(h.body) > 0 {
		fmt.Fprintf(&b, "\n\n%s", h.body)
	}
	if len(h.trailer) > 0 {
		fmt.Fprintf(&b, "\nafter the body:\n%s", strings.Join(h.trailer, "\n"))
	}
	if h.odd {
		b.WriteString("\nODD FRAMING")
	}
	return b.String()
}

func (h *witnessed) plainAnswer() string {
	body := h.line
	head := "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	if h.method() == http.MethodHead {
		return head
	}
	return head + body
}

// settle waits until all of the script's answer is out, if its request has come.
func (w *witness) settle() {
	w.mu.Lock()
	waits := len(w.seen) > 0 && len(w.script.parts) > 0
	w.mu.Unlock()
	if waits {
		<-w.played
	}
}
