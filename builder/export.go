package builder

import (
	"net/http"
	"strconv"

	"fnb/builder/engine"
	"fnb/internal/lazyregexp"
	"fnb/schema"
)

var (
	// A push says what it pushed before what the registry answered:
	//	failed to push reg.example/acme/hello:1: unexpected status from HEAD request to https://…: 403 Forbidden
	pushed   = lazyregexp.New(`failed to push (\S+): (.*)`)
	answered = lazyregexp.New(`\b([45]\d\d) [A-Z][a-z]`)
	// What a registry says in words of its own is shown in the place of the
	// status, behind the error code of OCI's.
	codes = lazyregexp.New(`(?:^|: )(unauthorized|denied|name unknown|insufficient_scope|toomanyrequests): `)
	// A Docker Engine says so when it has only its own exporters.
	noExporter = lazyregexp.New(`exporter "?(\w+)"? could not be found`)
)

// exportError reads what can be read of why an image was not delivered.
func exportError(why string, err error) *ExportError {
	e := &ExportError{Problem: why, Err: err}
	if m := pushed.FindStringSubmatch(why); m != nil {
		e.Reference, e.Problem = m[1], m[2]
		if image, err := schema.ParseImageRef(e.Reference); err == nil {
			e.Host = image.Registry
		}
	}
	if m := answered.FindStringSubmatch(why); m != nil {
		e.Status, _ = strconv.Atoi(m[1]) // three digits
	}
	if m := codes.FindStringSubmatch(e.Problem); e.Status == 0 && m != nil {
		switch m[1] {
		case "unauthorized":
			e.Status = http.StatusUnauthorized
		case "denied", "insufficient_scope":
			e.Status = http.StatusForbidden
		case "name unknown":
			e.Status = http.StatusNotFound
		case "toomanyrequests":
			e.Status = http.StatusTooManyRequests
		}
	}
	if m := noExporter.FindStringSubmatch(why); m != nil {
		e.Unsupported = true
		e.Problem = "this builder cannot write images itself (it has no exporter " + strconv.Quote(m[1]) + ")"
	}
	return e
}

// deliverable refuses, before anything is built, what the builder cannot deliver.
func (c *Client) deliverable(out Output) error {
	images := out.Store != "" || len(out.Push) > 0 || out.OCI != nil || out.Docker != nil
	switch {
	case c.store == engine.Drivers && images:
		return &ExportError{
			Unsupported: true,
			Problem:     "this builder cannot write images itself: its Docker Engine keeps them in a store of its own, without containerd's",
		}
	case out.Engine && c.docker == nil:
		return &ExportError{Unsupported: true, Problem: "this builder does not belong to a Docker Engine, which could take the image"}
	}
	return nil
}
