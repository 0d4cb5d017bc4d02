package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// stream is what one client sends over one connection, and what the function answers to the first request of it.
type stream struct {
	name   string
	bytes  string
	open   bool // the client does not close its sending side before the end
	script script
}

// probe ends every stream but those that break off: whether it is answered says whether the connection was kept.
const probe = "GET /probe HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

// next is what another client asks afterwards, over whatever connections to the function were kept.
const next = "GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

// result is what came of a stream.
type result struct {
	answers []reading // what the client got
	after   []reading // what the next client got
	seen    []string  // what the function saw
	left    []string  // what is there that should not be
}

// reading is one answer as a client reads it.
type reading struct {
	status string // and how it ended
	detail string // of an answer that is no error: fields, body, trailer
}

// pause is in a stream where the client waits for the head of an answer.
const pause = "{,}"

// converse sends text over a new connection and returns all that comes back until that ends.
func converse(tb testing.TB, address, text string, open bool) []byte {
	tb.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience)) // it is open
	first, rest, _ := strings.Cut(text, pause)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, err := io.WriteString(conn, first) // who does not want it closes
		if err == nil && !open {
			closeWrite(conn)
		}
	}()
	var got bytes.Buffer
	for buf := make([]byte, 32<<10); ; {
		n, err := conn.Read(buf)
		got.Write(buf[:n])
		if rest != "" && bytes.Contains(got.Bytes(), []byte("\r\n\r\n")) {
			_, _ = io.WriteString(conn, rest) // who does not want it closes
			rest = ""
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			got.WriteString("<<it does not end>>")
		}
		if err != nil {
			break
		}
	}
	_ = conn.Close() // ends the sending
	<-sent
	return got.Bytes()
}

// methodsOf are the methods of the requests in text, as far as it can be read.
func methodsOf(text string) []string {
	var methods []string
	for in := bufio.NewReader(strings.NewReader(text)); ; {
		for {
			if end, err := in.Peek(2); err != nil || string(end) != "\r\n" {
				break
			}
			_, _ = in.Discard(2) // they are there
		}
		r, err := http.ReadRequest(in)
		if err != nil {
			return methods
		}
		methods = append(methods, r.Method)
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return methods
		}
	}
}

// readAll reads the answers that a client got to requests of the given methods.
func readAll(got []byte, methods []string) []reading {
	var answers []reading
	for in := bufio.NewReader(bytes.NewReader(got)); ; {
		if _, err := in.Peek(1); err != nil {
			return answers
		}
		method := http.MethodGet
		if finals := countFinals(answers); finals < len(methods) {
			method = methods[finals]
		}
		r, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			rest, _ := io.ReadAll(in)
			return append(answers, reading{"no answer", err.Error() + " " + string(rest)})
		}
		if r.StatusCode == http.StatusProcessing {
			continue // the watchdog asks so whether a client still reads
		}
		answers = append(answers, readOne(r, in))
	}
}

func countFinals(answers []reading) int {
	n := 0
	for _, a := range answers {
		if a.status[0] != '1' {
			n++
		}
	}
	return n
}

func readOne(r *http.Response, in *bufio.Reader) reading {
	a := reading{status: fmt.Sprint(r.StatusCode)}
	var body []byte
	var err error
	if r.StatusCode == http.StatusSwitchingProtocols {
		body, err = io.ReadAll(in)
	} else {
		body, err = io.ReadAll(r.Body)
	}
	if err != nil {
		a.status += " cut off"
	}
	if r.StatusCode >= http.StatusBadRequest {
		return a
	}
	var fields []string
	for name, values := range r.Header {
		switch name {
		case "Date", "X-Duration-Seconds", "X-Openfaas-Internal", "Content-Length", "Connection":
			continue
		}
		for _, value := range values {
			fields = append(fields, name+": "+value)
		}
	}
	sortFields(fields)
	a.detail = strings.Join(fields, "\n")
	if err == nil {
		a.detail += "\n\n" + string(body)
	}
	var trailer []string
	for name, values := range r.Trailer {
		for _, value := range values {
			trailer = append(trailer, "\nafter the body: "+name+": "+value)
		}
	}
	slices.Sort(trailer)
	a.detail += strings.Join(trailer, "")
	return a
}

// differences says in one line how got, the watchdog's result, differs from want, the reference's.
func differences(s *setup, got, want result) string {
	all := slices.Concat(
		compareAnswers("answers", got.answers, want.answers), compareAnswers("next client", got.after, want.after),
		compareSeen(got.seen, want.seen), got.left,
	)
	text := strings.Join(all, "; ")
	if s.proxied {
		text = strings.ReplaceAll(text, " "+proxiedHost+s.prefix+"/", " /")
	}
	return strings.ReplaceAll(text, " "+s.prefix+"/", " /")
}

func compareAnswers(what string, got, want []reading) []string {
	statuses := func(answers []reading) string {
		var list []string
		for i := 0; i < len(answers); i++ {
			n := 1
			for i+1 < len(answers) && answers[i+1].status == answers[i].status {
				i, n = i+1, n+1
			}
			if text := answers[i].status; n == 1 {
				list = append(list, text)
			} else {
				list = append(list, fmt.Sprintf("%s × %d", text, n))
			}
		}
		return "[" + strings.Join(list, ", ") + "]"
	}
	if g, w := statuses(got), statuses(want); g != w {
		return []string{what + " " + g + ", reference " + w}
	}
	var found []string
	for i, a := range got {
		if a.detail != want[i].detail {
			found = append(found, fmt.Sprintf("%s %d: %s", what, i+1, compareLines(a.detail, want[i].detail)))
		}
	}
	return found
}

// whole is answers without a last one that is cut off: how much of that arrives is a matter of time.
func whole(answers []reading) []reading {
	if n := len(answers); n > 0 && strings.HasSuffix(answers[n-1].status, " cut off") {
		return answers[:n-1]
	}
	return answers
}

func compareSeen(got, want []string) []string {
	lines := func(seen []string) string {
		var list []string
		for _, text := range seen {
			line, _, _ := strings.Cut(text, "\n")
			list = append(list, strings.TrimSuffix(line, " HTTP/1.1"))
		}
		return strings.Join(list, "\n")
	}
	if g, w := lines(got), lines(want); g != w {
		return []string{"function saw " + compareLines(g, w)}
	}
	var found []string
	for i, text := range got {
		if text != want[i] {
			found = append(found, fmt.Sprintf("request %d: %s", i+1, compareLines(text, want[i])))
		}
	}
	return found
}

// compareLines names the lines that only one of the two has.
func compareLines(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	var found []string
	for _, line := range g {
		if line != "" && !slices.Contains(w, line) {
			found = append(found, fmt.Sprintf("%.100q more", line))
		}
	}
	for _, line := range w {
		if line != "" && !slices.Contains(g, line) {
			found = append(found, fmt.Sprintf("%.100q less", line))
		}
	}
	if len(found) == 0 {
		return fmt.Sprintf("%.200q, reference %.200q", got, want)
	}
	return strings.Join(found, ", ")
}

// rig is one watchdog or reference of a set-up, and the function behind it.
type rig struct {
	setup    *setup
	witness  *witness
	watchdog *inside // nil: it is the reference
	server   *http.Server
	address  string
}

// newRig starts what a set-up compares: the watchdog, or the reference.
func (b *bench) newRig(tb testing.TB, s *setup, reference bool) *rig {
	tb.Helper()
	r := &rig{setup: s, witness: newWitness(tb)}
	if reference {
		server, l := newReference(tb, s, r.witness.address())
		r.server, r.address = server, l.Addr().String()
		return r
	}
	r.watchdog = b.newWatchdog(tb, s, r.witness.address())
	r.address = r.watchdog.mainPort.Addr().String()
	return r
}

func (r *rig) end() {
	if r.watchdog != nil {
		r.watchdog.end()
	} else {
		_ = r.server.Close() // it was only asked
	}
	r.witness.end()
}

// run sends a stream, and afterwards what the next client asks.
func (r *rig) run(tb testing.TB, sent stream) result {
	tb.Helper()
	text, follow := sent.bytes, next
	if r.setup.rewrite != nil {
		text, follow = r.setup.rewrite(text), r.setup.rewrite(next)
	}
	r.witness.begin(sent.script)
	var o result
	o.answers = whole(readAll(converse(tb, r.address, text, sent.open), methodsOf(text)))
	r.witness.settle()
	if r.watchdog != nil && !r.watchdog.isIdle(r.setup) {
		o.left = append(o.left, "its place is not free")
	}
	if len(sent.script.parts) > 0 || r.setup.every {
		o.after = whole(readAll(converse(tb, r.address, follow, true), []string{http.MethodGet}))
	}
	if r.watchdog != nil {
		o.left = append(o.left, r.watchdog.settle(r.setup)...)
	}
	o.seen = r.witness.testimony(tb)
	return o
}
