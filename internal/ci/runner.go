package ci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"fnb/internal/plain"
	"fnb/schema"
)

// A Runner is the job of a CI system that this process is part of, where no person
// watches. What its system can show, such as folded logs and problems beside the lines they
// are about, is printed for it; the zero value prints nothing.
type Runner struct {
	root  string // the checkout
	shows presentation
}

// A presentation is what a system shows of a job.
type presentation interface {
	fold(w io.Writer, title string) (end func())
	quote(w io.Writer) (end func())
	annotate(w io.Writer, remarks []Remark)
	summary() string // the file that Markdown is appended to; "" is none
	outputs() string // the file that NAME=value is appended to; "" is none
}

// silent shows nothing.
type silent struct{}

func (silent) fold(io.Writer, string) func() { return func() {} }
func (silent) quote(io.Writer) func()        { return func() {} }
func (silent) annotate(io.Writer, []Remark)  {}
func (silent) summary() string               { return "" }
func (silent) outputs() string               { return "" }

// Here reads what a system sets in each job.
func Here() Runner {
	for _, s := range Systems() {
		if s.checkout == nil {
			continue
		}
		if root, ok := s.checkout(); ok {
			return Runner{root: root, shows: s.show}
		}
	}
	return Runner{}
}

func (r Runner) system() presentation {
	if r.shows == nil {
		return silent{}
	}
	return r.shows
}

// Fold begins a part of the log that is shown folded, and returns what ends it. Its
// lines are quoted.
func (r Runner) Fold(w io.Writer, title string) (end func()) { return r.system().fold(w, title) }

// Quote begins a part of the log with lines of builds, functions and servers, in
// which the system carries out no commands, and returns what ends it. What ends it is
// known to nobody before, and used once. The lines are plain as well; this is for
// what a runner may know and fnb does not.
func (r Runner) Quote(w io.Writer) (end func()) { return r.system().quote(w) }

// A Remark is a problem at a place in the checkout.
type Remark struct {
	Path         string // relative to the checkout, with slashes
	Line, Column int    // from 1; 0 where not known
	Title, Text  string
}

// Annotate prints the places of problems where the system shows them in the change.
func (r Runner) Annotate(w io.Writer, remarks []Remark) { r.system().annotate(w, remarks) }

// Relative is a path below the checkout; "" where it is none.
func (r Runner) Relative(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil || path == "" {
		return ""
	}
	rel, err := filepath.Rel(r.root, abs)
	if err != nil || !filepath.IsLocal(rel) {
		return ""
	}
	return filepath.ToSlash(rel)
}

// Tell appends what a run produced to the summary and the outputs of the job. A summary
// that is named goes before the system's own.
func (r Runner) Tell(rep schema.Report, summary string) error {
	if summary == "" {
		summary = r.system().summary()
	}
	var errs []error
	if summary != "" {
		errs = append(errs, appendTo(summary, summarize(rep)))
	}
	if out := r.system().outputs(); out != "" {
		text, err := outputs(rep)
		errs = append(errs, err, appendTo(out, text))
	}
	return errors.Join(errs...)
}

// outputs are the images of a run for later steps: one JSON object on one line,
// function to reference with digest, and the names of those that were built.
func outputs(rep schema.Report) (string, error) {
	images, built := map[string]string{}, []string{}
	for _, f := range rep.Functions {
		if f.Error != "" || f.Digest == "" {
			continue
		}
		images[f.Name] = f.Reference + "@" + f.Digest
		if f.Status != "skipped" {
			built = append(built, f.Name)
		}
	}
	i, err := json.Marshal(images)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(built)
	return fmt.Sprintf("images=%s\nbuilt=%s\n", i, b), err
}

// summarize is the Markdown table of a run.
func summarize(rep schema.Report) string {
	var b strings.Builder
	b.WriteString("| function | image | digest | size | seconds | |\n|---|---|---|---:|---:|---|\n")
	for _, f := range rep.Functions {
		var bytes int64
		for _, p := range f.Platforms {
			bytes += p.Size
		}
		var seconds float64
		for _, s := range f.Seconds {
			seconds += s
		}
		took, weight, digest := fmt.Sprintf("%.1f", seconds), "", ""
		if bytes > 0 {
			weight = plain.Size(bytes)
		}
		if f.Digest != "" {
			digest = plain.Markdown(f.Digest)
		}
		what := f.Status
		if f.Reason != "" {
			what += ": " + plain.Markdown(f.Reason)
		}
		if f.Error != "" {
			what = "**failed**: " + plain.Markdown(f.Error)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", plain.Markdown(f.Name), plain.Markdown(f.Reference), digest, weight, took, what)
	}
	return b.String() + "\n"
}

// appendTo adds text to a file that other steps write to as well.
func appendTo(file, text string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}
