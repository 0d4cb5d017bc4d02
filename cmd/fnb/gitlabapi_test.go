package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// A gitlabAPI is an imitation of GitLab's REST interface, and tells everybody so. It has one project, number 1, whose
// repository is at some git server, and as much as the gate of a store and what proposes updates ask, by GitLab's public reference:
// docs.gitlab.com/api/merge_requests, …/api/notes and …/api/users. The token of the user NAME is token-of-NAME, and only
// "gate" may merge.
type gitlabAPI struct {
	repo string // bare, a mirror of the project's
	main *http.ServeMux

	mu       sync.Mutex
	requests []*mergeRequest
	notes    int
}

type gitlabUser struct {
	Username string `json:"username"`
}

type mergeRequest struct {
	IID          int        `json:"iid"`
	Title        string     `json:"title"`
	State        string     `json:"state"` // opened or merged
	Draft        bool       `json:"draft"`
	SourceBranch string     `json:"source_branch"`
	TargetBranch string     `json:"target_branch"`
	SHA          string     `json:"sha"`
	Author       gitlabUser `json:"author"`
	Description  string     `json:"description"`
	WebURL       string     `json:"web_url"`
	Labels       []string   `json:"labels"`

	notes []gitlabNote // newest first
}

type gitlabNote struct {
	ID     int        `json:"id"`
	Body   string     `json:"body"`
	Author gitlabUser `json:"author"`
}

// A gitlabError is an answer that is none.
type gitlabError struct {
	status  int
	message string
}

func (e *gitlabError) Error() string { return e.message }

// cmdGitLabAPI: gitlabapi VAR REPO starts an imitation of GitLab's interface for the repository at a URL, and VAR becomes
// what a job knows as CI_API_V4_URL.
func cmdGitLabAPI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: gitlabapi VAR REPO")
	}
	g := &gitlabAPI{repo: ts.MkAbs(".gitlab.git"), main: http.NewServeMux()}
	_, err := g.git("clone", "-q", "--bare", args[1], g.repo)
	ts.Check(err)
	g.route("GET /api/v4/user", g.user)
	g.route("GET /api/v4/projects/1/merge_requests", g.list)
	g.route("POST /api/v4/projects/1/merge_requests", g.open)
	g.route("GET /api/v4/projects/1/merge_requests/{iid}", g.show)
	g.route("PUT /api/v4/projects/1/merge_requests/{iid}", g.change)
	g.route("PUT /api/v4/projects/1/merge_requests/{iid}/merge", g.merge)
	g.route("GET /api/v4/projects/1/merge_requests/{iid}/notes", g.listNotes)
	g.route("POST /api/v4/projects/1/merge_requests/{iid}/notes", g.addNote)
	s := httptest.NewServer(g.main)
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.URL+"/api/v4")
}

// cmdGitRev: gitrev VAR DIR REV sets a variable to a commit.
func cmdGitRev(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: gitrev VAR DIR REV")
	}
	out, err := exec.Command("git", "-C", ts.MkAbs(args[1]), "rev-parse", args[2]).Output()
	ts.Check(err)
	ts.Setenv(args[0], strings.TrimSpace(string(out)))
}

func (g *gitlabAPI) git(args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), "git", args...)
	cmd.Env = append(os.Environ(), "GIT_DIR="+g.repo, "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_AUTHOR_NAME=gate", "GIT_AUTHOR_EMAIL=gate@example.com", "GIT_COMMITTER_NAME=gate", "GIT_COMMITTER_EMAIL=gate@example.com")
	if args[0] == "clone" {
		cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "GIT_DIR=") })
	}
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// A gitlabCall is one request to the interface.
type gitlabCall struct {
	who    string
	values map[string]string // of the query, a form or JSON
	change *mergeRequest     // that the path names
}

// route has answer answer a method and path, with the repository as it is now.
func (g *gitlabAPI) route(pattern string, answer func(gitlabCall) (int, any, error)) {
	g.main.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		status, body, err := g.answer(r, answer)
		if err != nil {
			status = http.StatusInternalServerError
			var refused *gitlabError
			if errorsAs(err, &refused) {
				status = refused.status
			}
			body = map[string]string{"message": err.Error()}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Server", "an imitation of GitLab, for the tests of fnb")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body) // who asked notices
	})
}

func (g *gitlabAPI) answer(r *http.Request, answer func(gitlabCall) (int, any, error)) (int, any, error) {
	call := gitlabCall{values: map[string]string{}}
	var ok bool
	if call.who, ok = strings.CutPrefix(r.Header.Get("Private-Token"), "token-of-"); !ok {
		return 0, nil, &gitlabError{http.StatusUnauthorized, "401 Unauthorized"}
	}
	if err := g.refresh(); err != nil {
		return 0, nil, err
	}
	if text := r.PathValue("iid"); text != "" {
		iid, _ := strconv.Atoi(text) // 0 is nobody's
		if iid < 1 || iid > len(g.requests) {
			return 0, nil, &gitlabError{http.StatusNotFound, "404 Not found"}
		}
		call.change = g.requests[iid-1]
	}
	if r.Header.Get("Content-Type") == "application/json" && r.Method != http.MethodGet {
		var values map[string]any
		if err := json.NewDecoder(r.Body).Decode(&values); err != nil {
			return 0, nil, &gitlabError{http.StatusBadRequest, "400 Bad Request"}
		}
		for name, v := range values {
			call.values[name] = fmt.Sprint(v)
		}
		return answer(call)
	}
	if err := r.ParseForm(); err != nil {
		return 0, nil, &gitlabError{http.StatusBadRequest, "400 Bad Request"}
	}
	for name := range r.Form {
		call.values[name] = r.Form.Get(name)
	}
	return answer(call)
}

// refresh looks where the branches of open requests are, and keeps each under the name by which a project has it.
func (g *gitlabAPI) refresh() error {
	if _, err := g.git("fetch", "-q", "origin", "+refs/heads/*:refs/heads/*"); err != nil {
		return err
	}
	for _, c := range g.requests {
		if c.State != "opened" {
			continue
		}
		sha, err := g.git("rev-parse", "refs/heads/"+c.SourceBranch)
		if err != nil {
			return err
		}
		if c.SHA == sha {
			continue
		}
		if _, err := g.git("push", "-q", "origin", fmt.Sprintf("+%s:refs/merge-requests/%d/head", sha, c.IID)); err != nil {
			return err
		}
		c.SHA = sha
	}
	return nil
}

func (g *gitlabAPI) user(call gitlabCall) (int, any, error) {
	return http.StatusOK, gitlabUser{call.who}, nil
}

// list has the newest first.
func (g *gitlabAPI) list(call gitlabCall) (int, any, error) {
	found := []*mergeRequest{}
	for _, c := range slices.Backward(g.requests) {
		asked := func(name, value string) bool {
			return call.values[name] == "" || call.values[name] == value || name == "state" && call.values[name] == "all"
		}
		if asked("state", c.State) && asked("target_branch", c.TargetBranch) && asked("source_branch", c.SourceBranch) && (call.values["wip"] != "no" || !c.Draft) {
			found = append(found, c)
		}
	}
	return http.StatusOK, pageOf(call, found), nil
}

// pageOf is the page of a list that is asked for: of 20 if nothing is said, of 100 at most.
func pageOf[T any](call gitlabCall, all []T) []T {
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(call.values[name]); err == nil && n > 0 {
			return n
		}
		return otherwise
	}
	size := min(number("per_page", 20), 100)
	first := min((number("page", 1)-1)*size, len(all))
	return all[first:min(first+size, len(all))]
}

func (g *gitlabAPI) open(call gitlabCall) (int, any, error) {
	c := &mergeRequest{
		IID: len(g.requests) + 1, Title: call.values["title"], State: "opened", Draft: strings.HasPrefix(call.values["title"], "Draft:"),
		SourceBranch: call.values["source_branch"], TargetBranch: call.values["target_branch"], Author: gitlabUser{call.who}, Labels: []string{},
		Description: call.values["description"], WebURL: fmt.Sprintf("https://gitlab.example/acme/project/-/merge_requests/%d", len(g.requests)+1),
	}
	g.requests = append(g.requests, c)
	return http.StatusCreated, c, g.refresh()
}

func (g *gitlabAPI) show(call gitlabCall) (int, any, error) { return http.StatusOK, call.change, nil }

func (g *gitlabAPI) change(call gitlabCall) (int, any, error) {
	list := func(name string) []string {
		return strings.FieldsFunc(call.values[name], func(r rune) bool { return r == ',' })
	}
	c, removed := call.change, list("remove_labels")
	c.Labels = slices.DeleteFunc(c.Labels, func(label string) bool { return slices.Contains(removed, label) })
	for _, label := range list("add_labels") {
		if !slices.Contains(c.Labels, label) {
			c.Labels = append(c.Labels, label)
		}
	}
	c.Title, c.Description = cmp.Or(call.values["title"], c.Title), cmp.Or(call.values["description"], c.Description)
	if c.Draft = strings.HasPrefix(c.Title, "Draft:"); call.values["state_event"] == "close" {
		c.State = "closed"
	}
	return http.StatusOK, c, nil
}

// merge makes one commit of the request.
func (g *gitlabAPI) merge(call gitlabCall) (int, any, error) {
	c := call.change
	switch sha := call.values["sha"]; {
	case call.who != "gate":
		return 0, nil, &gitlabError{http.StatusUnauthorized, "401 Unauthorized"}
	case c.State != "opened" || c.Draft:
		return 0, nil, &gitlabError{http.StatusMethodNotAllowed, "405 Method Not Allowed"}
	case sha != "" && sha != c.SHA:
		return 0, nil, &gitlabError{http.StatusConflict, "SHA does not match HEAD of source branch: " + c.SHA}
	}
	tree, err := g.git("merge-tree", "--write-tree", c.TargetBranch, c.SHA)
	if err != nil {
		return 0, nil, &gitlabError{http.StatusUnprocessableEntity, "Branch cannot be merged"}
	}
	commit, err := g.git("commit-tree", "-p", c.TargetBranch, "-m", c.Title, tree)
	if err != nil {
		return 0, nil, err
	}
	if _, err := g.git("push", "-q", "origin", commit+":refs/heads/"+c.TargetBranch); err != nil {
		return 0, nil, err
	}
	c.State = "merged"
	return http.StatusOK, c, nil
}

func (g *gitlabAPI) listNotes(call gitlabCall) (int, any, error) {
	return http.StatusOK, pageOf(call, append([]gitlabNote{}, call.change.notes...)), nil
}

func (g *gitlabAPI) addNote(call gitlabCall) (int, any, error) {
	if call.values["body"] == "" {
		return 0, nil, &gitlabError{http.StatusBadRequest, "400 Bad request - Note {:note=>[\"can't be blank\"]}"}
	}
	g.notes++
	note := gitlabNote{g.notes, call.values["body"], gitlabUser{call.who}}
	call.change.notes = slices.Insert(call.change.notes, 0, note)
	return http.StatusCreated, note, nil
}
