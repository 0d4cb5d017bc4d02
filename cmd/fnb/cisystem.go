package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fnb/builder"
	"fnb/internal/plain"
	"fnb/schema"
)

// A ciSystem is the system that fnb runs in when no person watches. What it can
// show, such as folded logs and problems beside the lines they are about, is
// printed for it on standard error; the zero value prints nothing.
type ciSystem struct {
	name string // github or gitlab
	root string // the checkout, which problems' paths are relative to
}

// findCI reads what GitHub Actions and GitLab CI set in each job.
func findCI() ciSystem {
	switch {
	case os.Getenv("GITHUB_ACTIONS") == "true":
		return ciSystem{"github", os.Getenv("GITHUB_WORKSPACE")}
	case os.Getenv("GITLAB_CI") == "true":
		return ciSystem{"gitlab", os.Getenv("CI_PROJECT_DIR")}
	}
	return ciSystem{}
}

// fold begins a part of the log that is shown folded, and returns what ends it. Its
// lines are quoted.
func (c ciSystem) fold(w io.Writer, title string) (end func()) {
	switch c.name {
	case "github":
		fmt.Fprintf(w, "::group::%s\n", escapeGitHub(title))
		unquote := c.quote(w)
		return func() {
			unquote()
			fmt.Fprintln(w, "::endgroup::")
		}
	case "gitlab":
		id := "fnb_" + strings.ToLower(rand.Text())
		fmt.Fprintf(w, "\x1b[0Ksection_start:%d:%s[collapsed=true]\r\x1b[0K%s\n", time.Now().Unix(), id, plain.Line(title))
		return func() { fmt.Fprintf(w, "\x1b[0Ksection_end:%d:%s\r\x1b[0K\n", time.Now().Unix(), id) }
	}
	return func() {}
}

// quote begins a part of the log with lines of builds, functions and servers, in
// which GitHub carries out no commands, and returns what ends it. What ends it is
// known to nobody before, and used once. The lines are plain as well; this is for
// what a runner may know and fnb does not.
func (c ciSystem) quote(w io.Writer) (end func()) {
	if c.name != "github" {
		return func() {}
	}
	word := rand.Text()
	fmt.Fprintf(w, "::stop-commands::%s\n", word)
	return func() { fmt.Fprintf(w, "::%s::\n", word) }
}

// A remark is a problem at a place in the checkout.
type remark struct {
	path         string // relative to the checkout, with slashes
	line, column int    // from 1; 0 where not known
	title, text  string
}

// remarks finds the places that an error is about: in the stack file, in a
// template or in a Dockerfile.
func (c ciSystem) remarks(err error) []remark {
	var out []remark
	for _, e := range flatten(err) {
		if te, ok := errors.AsType[*testError](e); ok && len(te.problems) > 0 {
			out = append(out, c.remarks(errors.Join(te.problems...))...)
			continue
		}
		fe, ok := errors.AsType[*functionError](e)
		if !ok {
			out = append(out, c.remark("fnb", place{}, e))
			continue
		}
		for _, inner := range flatten(fe.err) {
			out = append(out, c.remark("fnb: "+fe.name, fe.place, inner))
		}
	}
	return out
}

func (c ciSystem) remark(title string, at place, err error) remark {
	r := remark{title: title, text: plain.Line(err.Error()), path: c.relative(at.stack), line: at.line}
	if se, ok := errors.AsType[*builder.SolveError](err); ok && se.Line > 0 && at.dockerfile != "" {
		r.path, r.line = c.relative(at.dockerfile), se.Line
	}
	if e, ok := errors.AsType[*schema.FieldError](err); ok && e.File != "" {
		for _, file := range []string{filepath.Join(at.template, e.File), e.File} {
			if _, err := os.Stat(file); err == nil {
				r.path, r.line, r.column = c.relative(file), e.Line, e.Column
				break
			}
		}
	}
	return r
}

// A place is where a function stands in a checkout.
type place struct {
	stack      string // the stack file
	line       int    // of the function in it
	template   string // the folder of its template, where it is in the project; else ""
	dockerfile string // the function's, where it is in the project; else ""
}

// placeOf finds a function's place.
func placeOf(stack *schema.Stack, fn schema.Function) place {
	p := place{stack: stack.File, line: fn.Line, template: templateFolder(stack, fn)}
	dir := p.template
	if dir == "" && fn.Lang == "dockerfile" {
		dir = filepath.Join(filepath.Dir(stack.File), filepath.FromSlash(fn.Handler))
	}
	file := filepath.Join(dir, "Dockerfile")
	if _, err := os.Stat(file); err == nil && dir != "" {
		p.dockerfile = file
	}
	return p
}

// templateFolder is the folder of a function's template in the project; "" where
// it comes from elsewhere.
func templateFolder(stack *schema.Stack, fn schema.Function) string {
	ref, err := schema.ParseTemplateRef(fn.Lang)
	if err != nil {
		return ""
	}
	root := filepath.Dir(stack.File)
	dir := filepath.Join(root, "template", ref.Name)
	if ref.Kind == schema.RefFolder {
		if dir = filepath.FromSlash(ref.Dir); !filepath.IsAbs(dir) {
			dir = filepath.Join(root, dir)
		}
	} else if ref.Kind != schema.RefName || ref.Namespace != "" {
		return ""
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return ""
	}
	return dir
}

// relative is a path below the checkout; "" where it is none.
func (c ciSystem) relative(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil || path == "" {
		return ""
	}
	rel, err := filepath.Rel(c.root, abs)
	if err != nil || !filepath.IsLocal(rel) {
		return ""
	}
	return filepath.ToSlash(rel)
}

// annotate prints an error's places for GitHub, which shows them in the change.
func (c ciSystem) annotate(w io.Writer, err error) {
	if c.name != "github" || err == nil {
		return
	}
	for _, r := range c.remarks(err) {
		at := "title=" + escapeProperty(r.title)
		if r.path != "" {
			at = "file=" + escapeProperty(r.path) + "," + at
			if r.line > 0 {
				at += fmt.Sprintf(",line=%d", r.line)
			}
			if r.column > 0 {
				at += fmt.Sprintf(",col=%d", r.column)
			}
		}
		fmt.Fprintf(w, "::error %s::%s\n", at, escapeGitHub(r.text))
	}
}

// escapeGitHub makes a message of a workflow command: text from elsewhere can neither
// end it nor begin one of its own.
func escapeGitHub(s string) string { return strings.ReplaceAll(plain.Line(s), "%", "%25") }

func escapeProperty(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(escapeGitHub(s))
}

// writeCodeQuality writes an error's places as GitLab's code quality report,
// which GitLab shows in the merge request; without an error the report is empty.
func (c ciSystem) writeCodeQuality(file string, err error) error {
	type lines struct {
		Begin int `json:"begin"`
	}
	type location struct {
		Path  string `json:"path"`
		Lines lines  `json:"lines"`
	}
	type issue struct {
		Description string   `json:"description"`
		CheckName   string   `json:"check_name"`
		Fingerprint string   `json:"fingerprint"`
		Severity    string   `json:"severity"`
		Location    location `json:"location"`
	}
	issues := []issue{}
	if err != nil {
		for _, r := range c.remarks(err) {
			if r.path == "" {
				continue
			}
			sum := sha256.Sum256([]byte(r.path + "\x00" + r.text))
			issues = append(issues, issue{r.text, "fnb", hex.EncodeToString(sum[:16]), "major", location{r.path, lines{max(r.line, 1)}}})
		}
	}
	raw, jerr := json.MarshalIndent(issues, "", "  ")
	if jerr != nil {
		return jerr
	}
	return schema.WriteFile(file, append(raw, '\n'), 0o644)
}

// tell appends what a run produced to the summary and the outputs of the job.
func (c ciSystem) tell(rep schema.Report, summary string) error {
	if summary == "" && c.name == "github" {
		summary = os.Getenv("GITHUB_STEP_SUMMARY")
	}
	var errs []error
	if summary != "" {
		errs = append(errs, appendTo(summary, summarize(rep)))
	}
	if out := os.Getenv("GITHUB_OUTPUT"); out != "" && c.name == "github" {
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
			weight = size(bytes)
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
