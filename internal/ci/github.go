package ci

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"

	"fnb/internal/plain"
)

// github is GitHub Actions.
func github() System {
	return System{
		Name: "github", File: ".github/workflows/functions.yml", UpdatesFile: ".github/workflows/function-updates.yml", runner: "ubuntu-24.04", variable: "${{ vars.%s }}",
		login: func(host, name string) Login {
			if host == "ghcr.io" {
				return Login{host, "github.actor", "secrets.GITHUB_TOKEN"}
			}
			return workflowSecrets(host, name)
		},
		checkout: inJob("GITHUB_ACTIONS", "GITHUB_WORKSPACE"),
		show:     githubLog{},
	}
}

// workflowSecrets are the secrets of a repository, as a workflow writes them.
func workflowSecrets(host, name string) Login {
	return Login{host, "secrets.USER_" + name, "secrets.PASSWORD_" + name}
}

// githubLog writes GitHub's workflow commands.
type githubLog struct{}

func (l githubLog) fold(w io.Writer, title string) (end func()) {
	fmt.Fprintf(w, "::group::%s\n", escapeMessage(title))
	unquote := l.quote(w)
	return func() {
		unquote()
		fmt.Fprintln(w, "::endgroup::")
	}
}

func (githubLog) quote(w io.Writer) (end func()) {
	word := rand.Text()
	fmt.Fprintf(w, "::stop-commands::%s\n", word)
	return func() { fmt.Fprintf(w, "::%s::\n", word) }
}

// annotate prints places for GitHub, which shows them in the change.
func (githubLog) annotate(w io.Writer, remarks []Remark) {
	for _, r := range remarks {
		at := "title=" + escapeProperty(r.Title)
		if r.Path != "" {
			at = "file=" + escapeProperty(r.Path) + "," + at
			if r.Line > 0 {
				at += fmt.Sprintf(",line=%d", r.Line)
			}
			if r.Column > 0 {
				at += fmt.Sprintf(",col=%d", r.Column)
			}
		}
		fmt.Fprintf(w, "::error %s::%s\n", at, escapeMessage(r.Text))
	}
}

func (githubLog) summary() string { return os.Getenv("GITHUB_STEP_SUMMARY") }

func (githubLog) outputs() string { return os.Getenv("GITHUB_OUTPUT") }

// escapeMessage makes a message of a workflow command: text from elsewhere can neither
// end it nor begin one of its own.
func escapeMessage(s string) string { return strings.ReplaceAll(plain.Line(s), "%", "%25") }

func escapeProperty(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(escapeMessage(s))
}
