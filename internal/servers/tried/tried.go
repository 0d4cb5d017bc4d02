// Package tried keeps the table of docs/portability.md that says what fnb was tested with: [Record] has a test write its row, or
// see that it is there.
package tried

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

const (
	document = "docs/portability.md"
	begin    = "<!-- tried: written by tests -->\n"
	heading  = "| with | version | by | on |\n|---|---|---|---|\n"
)

// Record says that a test has passed with a version of something. Where FNB_TRIED is "write", the table gets the row; elsewhere
// it is an error if the table has none for that test, whatever the version, so that the table has all of them.
func Record(ctx context.Context, with, version, test string) error {
	file, err := find()
	if err != nil {
		return err
	}
	if os.Getenv("FNB_TRIED") != "write" {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		_, rows, _, err := split(string(text))
		if err == nil && !slices.ContainsFunc(rows, func(r row) bool { return r.is(with, test) }) {
			err = fmt.Errorf("%s has no row for %s by %s; have this test write it: FNB_TRIED=write go test …", document, with, test)
		}
		return err
	}
	lock := flock.New(filepath.Join(os.TempDir(), "fnb-tried.lock"))
	if _, err := lock.TryLockContext(ctx, 10*time.Millisecond); err != nil {
		return err
	}
	defer lock.Unlock() //nolint:errcheck // it ends with the process in any case
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	changed, err := put(string(text), row{with, version, test, time.Now().UTC().Format(time.DateOnly)})
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(changed), 0o644) //nolint:gosec // a document
}

// A row is one of the table.
type row struct{ with, version, test, on string }

func (r row) is(with, test string) bool { return r.with == with && r.test == test }

// put gives the table of a document a row in the place of one of the same test.
func put(text string, r row) (string, error) {
	before, rows, after, err := split(text)
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(r.with+r.version+r.test, "|\n") {
		return "", fmt.Errorf("%+v does not fit into a table", r)
	}
	rows = slices.DeleteFunc(rows, func(other row) bool { return other.is(r.with, r.test) })
	rows = append(rows, r)
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(a.with, b.with), cmp.Compare(a.test, b.test)) })
	var b strings.Builder
	b.WriteString(before + begin + heading)
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s |\n", r.with, r.version, r.test, r.on)
	}
	return b.String() + after, nil
}

// split splits a document at its table.
func split(text string) (before string, rows []row, after string, err error) {
	before, rest, ok := strings.Cut(text, begin)
	if !ok {
		return "", nil, "", fmt.Errorf("%s has no line %q", document, strings.TrimSpace(begin))
	}
	rest = strings.TrimPrefix(rest, heading)
	for strings.HasPrefix(rest, "|") {
		line, more, _ := strings.Cut(rest, "\n")
		f := strings.Split(strings.Trim(line, "| "), " | ")
		if len(f) != 4 { //nolint:mnd // the columns
			return "", nil, "", fmt.Errorf("%s: %s: it is no row of four", document, line)
		}
		rows, rest = append(rows, row{f[0], f[1], strings.Trim(f[2], "`"), f[3]}), more
	}
	return before, rows, rest, nil
}

// find finds the document above the working folder.
func find() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		file := filepath.Join(dir, document)
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("there is no " + document + " above the working folder")
		}
	}
	return "", err
}
