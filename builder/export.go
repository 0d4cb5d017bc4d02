package builder

import (
	"regexp"
	"strconv"
	"strings"
)

var (
	// A push says what it pushed before what the registry answered:
	//	failed to push reg.example/acme/hello:1: unexpected status from HEAD request to https://…: 403 Forbidden
	pushed   = regexp.MustCompile(`failed to push (\S+): (.*)`)
	answered = regexp.MustCompile(`\b([45]\d\d) [A-Z][a-z]`)
	// A Docker Engine says so when it has only its own exporters.
	noExporter = regexp.MustCompile(`exporter "?(\w+)"? could not be found`)
)

// exportError reads what can be read of why an image was not delivered.
func exportError(why string, err error) *ExportError {
	e := &ExportError{Problem: why, Err: err}
	if m := pushed.FindStringSubmatch(why); m != nil {
		e.Reference, e.Problem = m[1], m[2]
		e.Host, _, _ = strings.Cut(e.Reference, "/")
	}
	if m := answered.FindStringSubmatch(why); m != nil {
		e.Status, _ = strconv.Atoi(m[1]) // three digits
	}
	if m := noExporter.FindStringSubmatch(why); m != nil {
		e.Unsupported = true
		e.Problem = "this builder cannot write images itself (it has no exporter " + strconv.Quote(m[1]) + ")"
	}
	return e
}
