package gitrepo

import (
	"errors"
	"fmt"
	"strings"

	"fnb/internal/plain"
)

// ErrTooLarge says that an object has more bytes than were asked for.
var ErrTooLarge = errors.New("it has more bytes than the limit")

// A GitError is what git says of a repository that it does not read.
type GitError struct {
	Dir   string
	Doing string // what git was asked for
	Said  string // its own words
	Try   string // the command that git itself advises; "" for none
}

func (e *GitError) Error() string {
	return fmt.Sprintf("the git repository of %s: %s: git says: %s", e.Dir, e.Doing, plain.Short(e.Said))
}

// gitError makes an error of what git has written to standard error.
func gitError(dir, doing, stderr string, err error) error {
	e := &GitError{Dir: dir, Doing: doing}
	var said []string
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "git config --global --add safe.directory "):
			e.Try = line
		case line != "" && !strings.HasSuffix(line, "call:"):
			said = append(said, strings.TrimPrefix(line, "fatal: "))
		}
	}
	if len(said) == 0 {
		said = append(said, err.Error())
	}
	e.Said = strings.ReplaceAll(strings.Join(said, "; "), ":; ", ": ")
	return e
}

// An ExtensionError says that a repository cannot be read without git, or by fnb at all.
type ExtensionError struct {
	Dir   string
	Name  string // as in extensions.NAME
	Value string
}

func (e *ExtensionError) Error() string {
	return fmt.Sprintf("the git repository of %s has extensions.%s = %s, which only git itself reads", e.Dir, plain.Short(e.Name), plain.Short(e.Value))
}

// An EmptyError says that a repository has no commit yet.
type EmptyError struct{ Dir string }

func (e *EmptyError) Error() string { return "the git repository of " + e.Dir + " has no commit yet" }

// A MissingError is a revision or an object that a repository does not have.
type MissingError struct {
	Dir     string
	What    string // a revision as it was given, or an object
	Shallow bool   // the history was cut when the repository was cloned
	Partial bool   // it was cloned without some of its objects
	Offline bool   // those may not be fetched
	Command string // setting of the repository that names a command, because of which they are not fetched
}

func (e *MissingError) Error() string {
	at := "the git repository of " + e.Dir
	what := plain.Short(e.What)
	switch {
	case e.Partial && e.Offline:
		return what + " is not in " + at + ", a partial clone, and offline it is not fetched"
	case e.Partial && e.Command != "":
		return what + " is not in " + at + ", a partial clone, and fetching it would run what the repository itself names in " + plain.Short(e.Command)
	case e.Shallow:
		return what + " is not a revision of " + at + ", a shallow clone that lacks most of its history"
	case e.Partial:
		return what + " is not in " + at + ", a partial clone"
	}
	return what + " is not a revision of " + at
}
