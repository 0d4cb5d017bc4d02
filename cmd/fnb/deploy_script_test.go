package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"fnb/internal/servers/openfaas"
)

// cmdOpenFaaS: openfaas VAR [USER PASSWORD] starts an imitation of OpenFaaS's gateway, and sets VAR to its URL.
// The function slow never becomes ready there, and the functions huge, stray and unpulled are refused.
func cmdOpenFaaS(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 && len(args) != 3 {
		ts.Fatalf("usage: openfaas VAR [USER PASSWORD]")
	}
	opts := openfaas.Options{Never: []string{"slow"}, Refuse: map[string]string{
		"huge":     `unable to create Deployment: pods "huge" is forbidden: exceeded quota: team, requested: memory=9Gi`,
		"stray":    `unable to find namespace: nowhere`,
		"unpulled": `unable to pull image: cannot pull image ghcr.io/acme/x: pull access denied`,
	}}
	if len(args) == 3 {
		opts.User, opts.Password = args[1], args[2]
	}
	o := openfaas.Start(opts)
	ts.Defer(o.Close)
	ts.Setenv(args[0], o.URL)
}

// cmdStatusServer: statusserver VAR starts a web server that answers with the status that the first folder of a
// request names, for "elsewhere" leads to another machine, and for "silent" takes the request and never answers. VAR is set to its URL.
func cmdStatusServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: statusserver VAR")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		how, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch how {
		case "elsewhere":
			http.Redirect(w, r, "https://faas.example.com/", http.StatusFound)
		case "silent":
			_, _ = io.Copy(io.Discard, r.Body) // so that a client that goes away is noticed
			<-r.Context().Done()
		case "502":
			http.Error(w, "<html>Bad Gateway</html>", http.StatusBadGateway)
		case "403":
			http.Error(w, "not for you", http.StatusForbidden)
		default:
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html><title>Welcome to nginx!</title>"))
		}
	}))
	ts.Defer(server.Close)
	ts.Setenv(args[0], server.URL)
}

// cmdSameImage: sameimage FILE FILE [differ] compares the images of what a gateway says of two functions.
func cmdSameImage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: sameimage FILE FILE [differ]")
	}
	image := func(file string) string {
		var f struct{ Image string }
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &f))
		return f.Image
	}
	if a, b := image(args[0]), image(args[1]); (a == b) == (len(args) == 3) {
		ts.Fatalf("%s and %s", a, b)
	}
}
