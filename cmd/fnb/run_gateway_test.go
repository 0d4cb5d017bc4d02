package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"fnb/pipeline/gateway"
)

// cmdCallbacks: callbacks VAR FILE starts a server for callbacks, which writes to a file
// what it is told, and sets VAR to its URL.
func cmdCallbacks(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: callbacks VAR FILE")
	}
	f, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a part is seen too
		mu.Lock()
		defer mu.Unlock()
		h := r.Header
		fmt.Fprintf(f, "%s %s %s %s %s %s\n", r.Method, r.RequestURI, h.Get("X-Function-Name"), h.Get("X-Function-Status"), h.Get("X-Call-Id"), body)
	}))
	ts.Defer(func() {
		s.Close()
		_ = f.Close() // it was read
	})
	ts.Setenv(args[0], s.URL)
}

// cmdLetter: letter VAR FUNCTION waits until there is a dead letter of a function, and sets
// VAR to its id.
func cmdLetter(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: letter VAR FUNCTION")
	}
	l, err := gateway.OpenLetters(ts.MkAbs("."))
	ts.Check(err)
	defer l.Close()
	if !until(func() bool {
		all, err := l.List(args[1])
		ts.Check(err)
		if len(all) > 0 {
			ts.Setenv(args[0], all[0].ID)
		}
		return len(all) > 0
	}) {
		ts.Fatalf("there is no dead letter of %s", args[1])
	}
}
