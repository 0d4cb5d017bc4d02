package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// A pullsAPI is an imitation of the interface for proposed changes that GitHub, Forgejo and Gitea have, and tells everybody
// so. It has as much as a pipeline that proposes updates asks, by GitHub's public reference (docs.github.com/rest/pulls/pulls)
// and Gitea's (the same paths below /api/v1).
type pullsAPI struct {
	repo, token string
	noDrafts    bool // as a private repository of GitHub's without a plan

	mu    sync.Mutex
	pulls []*pullRequest
}

type pullRequest struct {
	Number   int     `json:"number"`
	State    string  `json:"state"`
	Title    string  `json:"title"`
	Body     string  `json:"body"`
	Draft    bool    `json:"draft"`
	MergedAt *string `json:"merged_at"`
	HTMLURL  string  `json:"html_url"`
	Head     pullEnd `json:"head"`
	Base     pullEnd `json:"base"`
}

type pullEnd struct {
	Ref string `json:"ref"`
	SHA string `json:"sha"`
}

// cmdPullsAPI: pullsapi VAR URL TOKEN [-no-drafts] starts an imitation for the repository at a URL, and VAR
// becomes its address.
func cmdPullsAPI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: pullsapi VAR URL TOKEN [-no-drafts]")
	}
	a := &pullsAPI{repo: args[1], token: args[2], noDrafts: len(args) > 3}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /repos/{owner}/{name}/pulls", a.answer(a.list))
	mux.HandleFunc("POST /repos/{owner}/{name}/pulls", a.answer(a.open))
	mux.HandleFunc("PATCH /repos/{owner}/{name}/pulls/{number}", a.answer(a.change))
	s := httptest.NewServer(mux)
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.URL)
}

func (a *pullsAPI) answer(to func(r *http.Request) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		status, body := http.StatusUnauthorized, any(map[string]string{"message": "Bad credentials"})
		if r.Header.Get("Authorization") == "token "+a.token {
			a.refresh()
			status, body = to(r)
		}
		w.Header().Set("Server", "an imitation of GitHub, for the tests of fnb")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body) // who asked notices
	}
}

// refresh looks where the branches of open changes are; one that is part of its base is merged.
func (a *pullsAPI) refresh() {
	for _, p := range a.pulls {
		if p.State == "open" {
			p.Head.SHA = cmp.Or(a.tip(p.Head.Ref), p.Head.SHA)
		}
		if p.State == "open" && p.Head.SHA == a.tip(p.Base.Ref) {
			now := "2026-01-01T00:00:00Z"
			p.State, p.MergedAt = "closed", &now
		}
	}
}

// tip is the commit of a branch; "" without.
func (a *pullsAPI) tip(branch string) string {
	out, err := exec.Command("git", "ls-remote", a.repo, "refs/heads/"+branch).Output()
	if err != nil {
		return ""
	}
	sha, _, _ := strings.Cut(string(out), "\t")
	return sha
}

func (a *pullsAPI) list(r *http.Request) (int, any) {
	found := []*pullRequest{}
	_, head, _ := strings.Cut(r.FormValue("head"), ":")
	for _, p := range a.pulls {
		if (r.FormValue("state") == "all" || p.State == "open") && (head == "" || p.Head.Ref == head) {
			found = append(found, p)
		}
	}
	return http.StatusOK, found
}

func (a *pullsAPI) open(r *http.Request) (int, any) {
	var ask struct {
		Title, Body, Head, Base string
		Draft                   bool
	}
	refuse := func(message string) (int, any) {
		return http.StatusUnprocessableEntity, map[string]string{"message": message}
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		return http.StatusBadRequest, map[string]string{"message": "Problems parsing JSON"}
	}
	for _, p := range a.pulls {
		if p.State == "open" && p.Head.Ref == ask.Head {
			return refuse("A pull request already exists")
		}
	}
	switch {
	case ask.Draft && a.noDrafts:
		return refuse("Draft pull requests are not supported in this repository.")
	case ask.Title == "" || a.tip(ask.Head) == "" || a.tip(ask.Base) == "":
		return refuse("Validation Failed")
	}
	n := len(a.pulls) + 1
	a.pulls = append(a.pulls, &pullRequest{
		Number: n, State: "open", Title: ask.Title, Body: ask.Body, Draft: ask.Draft, HTMLURL: fmt.Sprintf("https://github.example/acme/project/pull/%d", n),
		Head: pullEnd{ask.Head, a.tip(ask.Head)}, Base: pullEnd{ask.Base, a.tip(ask.Base)},
	})
	return http.StatusCreated, a.pulls[n-1]
}

func (a *pullsAPI) change(r *http.Request) (int, any) {
	n, _ := strconv.Atoi(r.PathValue("number")) // 0 is nobody's
	if n < 1 || n > len(a.pulls) {
		return http.StatusNotFound, map[string]string{"message": "Not Found"}
	}
	var ask struct{ Title, Body, State string }
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		return http.StatusBadRequest, map[string]string{"message": "Problems parsing JSON"}
	}
	p := a.pulls[n-1]
	p.Title, p.Body, p.State = cmp.Or(ask.Title, p.Title), cmp.Or(ask.Body, p.Body), cmp.Or(ask.State, p.State)
	return http.StatusOK, p
}
