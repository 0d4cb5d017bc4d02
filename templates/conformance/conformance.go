// Package conformance is what all official templates have in common: one table of
// requests and of what a function of every language answers, and one of lives, from
// a start that fails to a stop that never ends.
//
// [Cases] are sent to one running function a language, [Lives] need a container
// each. The functions are in the folder handlers: a handler as a user of the
// language would write it, with the routes that docs/handlers.md names. [Folders]
// says which folders make the handler of a template. TestLanguages in cmd/fnb
// builds, runs and asks them; [Markdown] is the same table for people.
package conformance

import (
	"net/http"
	"strings"
	"time"
)

// A Case is a request and the answer that is right in every language.
type Case struct {
	// Name says what comes in.
	Name string
	// Bad marks input that nobody hopes for; docs/handlers.md lists it.
	Bad bool
	// Right says the answer in words. It is needed for bad input alone.
	Right string

	Request Request
	Want    Answer
	// Except are the templates that answer otherwise, by name.
	Except map[string]Exception
}

// A Request is sent as it stands, byte for byte.
type Request struct {
	Method string // "" is GET
	Target string
	Proto  string // "" is HTTP/1.1
	// Header has the lines of the head behind Host, each "Name: value".
	Header []string
	Body   string
	// Pieces is a body in chunks. Each is sent a moment after the one before.
	Pieces []string
	// Hold keeps the pieces behind the first until some of the answer's body is there.
	Hold bool
}

// An Answer is what is wanted of an answer, and of the log while it came.
type Answer struct {
	Status int // 0 is 200
	// Header has all values that a header must have.
	Header http.Header
	// Type begins the Content-Type.
	Type string
	// Body is the whole body; JSON is compared as JSON. List is a body of values
	// that are joined with a comma, and perhaps a space.
	Body    string
	JSON    string
	List    string
	AnyBody bool
	// Cut is an answer whose end is missing.
	Cut bool
	// Early is a first piece that is there long before the end.
	Early string
	// Log must be in what the function logs.
	Log string
}

// An Exception is another answer of one template, and why it is right there.
type Exception struct {
	Want   Answer
	Reason string
	// Words says the answer in a few words, for bad input.
	Words string
}

// For returns what is wanted of a template.
func (c Case) For(template string) Answer {
	if e, ok := c.Except[template]; ok {
		return e.Want
	}
	return c.Want
}

// A Life is a container from its start to its end.
type Life struct {
	Name  string
	Right string
	Env   []string
	// Ends is an end by itself; else the container is stopped with SIGTERM.
	Ends bool
	// Ready is what the watchdog answers at /_/ready once the log has Log, or, if
	// Log is "", once it answers; 0 is 200.
	Ready int
	// NotReady makes the file /tmp/not-ready before Ready is asked for.
	NotReady bool
	// Asks is sent before the stop, and must be answered in spite of it.
	Asks string
	// Kills ends the container at once: it would never stop.
	Kills bool
	Code  int
	// Log must be in the log at the end. Within is how long it may take.
	Log    string
	Within time.Duration
	// Except are the templates without such a life, and why.
	Except map[string]string
}

// Without are the official templates that have no handler here, and why.
func Without() map[string]string {
	return map[string]string{
		"command":    "a handler is any command; there is no entrypoint that could be right or wrong",
		"dockerfile": "the handler brings its own server",
	}
}

// Folders returns the folders below handlers whose files make a template's
// handler. A later one's files go over an earlier one's.
func Folders(template string) []string {
	switch template {
	case "typescript", "bun", "deno": // one handler, with a package list each
		return []string{"web", template}
	}
	return []string{template}
}

// Markdown is the table of bad input and the right answers to it, and the one of
// lives.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| comes in | goes out | otherwise in |\n|---|---|---|\n")
	for _, c := range Cases() {
		if c.Bad {
			b.WriteString("| " + c.Name + " | " + c.Right + " | " + exceptions(c.Except) + " |\n")
		}
	}
	b.WriteString("\n| happens | what the function does | otherwise in |\n|---|---|---|\n")
	for _, l := range Lives() {
		b.WriteString("| " + l.Name + " | " + l.Right + " | ")
		for _, name := range sorted(l.Except) {
			b.WriteString(name + ": " + l.Except[name])
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// exceptions names templates with the same answer and reason once.
func exceptions(all map[string]Exception) string {
	names := map[string][]string{}
	var texts []string
	for _, name := range sorted(all) {
		text := all[name].Words + " (" + all[name].Reason + ")"
		if names[text] == nil {
			texts = append(texts, text)
		}
		names[text] = append(names[text], name)
	}
	for i, text := range texts {
		texts[i] = strings.Join(names[text], ", ") + ": " + text
	}
	return strings.Join(texts, "; ")
}
