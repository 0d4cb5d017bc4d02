package store

import (
	"cmp"
	"fmt"
	"strings"

	"fnb/schema"
	"fnb/templates"
)

// A NotFoundError says that nothing has the name of a template or function, or not
// in a version that fits; then it wraps a [*VersionError].
type NotFoundError struct {
	Kind string // [schema.KindFunction]; "" and all else is a template
	Name string
	Near []string // names that may have been meant, best first
	Err  error    // why; nil where no store has the name
	// OpenFaaS is the repository in which OpenFaaS's template store has the name; "" where
	// it has none, or has been asked.
	OpenFaaS string
}

func (e *NotFoundError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s %s: %v", kindOr(e.Kind), e.Name, e.Err)
	}
	return fmt.Sprintf("no store has a %s %q", kindOr(e.Kind), e.Name)
}

// kindOr is a kind; a template for "".
func kindOr(kind string) string { return cmp.Or(kind, schema.KindTemplate) }

// Unwrap returns why it was not found.
func (e *NotFoundError) Unwrap() error { return e.Err }

// A VersionError says that a template is there, but not in a version that was
// asked for.
type VersionError struct {
	Range string
	Have  []string // the versions there are, highest first; none where it has no versions
	Where string
}

func (e *VersionError) Error() string {
	if len(e.Have) == 0 {
		return fmt.Sprintf("no version is %s: %s has none", e.Range, e.Where)
	}
	have := strings.Join(e.Have[:min(len(e.Have), 5)], ", ")
	return fmt.Sprintf("no version is %s: %s has %s", e.Range, e.Where, have)
}

// A MismatchError says that a template is not what the lock says, or its record in a
// store.
type MismatchError struct {
	Reference string
	Want, Got string // checksums; Want is "" where fnb.lock has no such entry
	Problem   string // instead of the two, where there is nothing to compare
	Record    bool   // it is the record that says something else
}

func (e *MismatchError) Error() string {
	if e.Problem != "" {
		return fmt.Sprintf("template %s: %s", e.Reference, e.Problem)
	}
	return fmt.Sprintf("template %s is not what fnb.lock says: its checksum is %s, and was %s", e.Reference, e.Got, e.Want)
}

// An OfflineError says that something is not in the cache and the network may not
// be used.
type OfflineError struct {
	Ref string
}

func (e *OfflineError) Error() string {
	return fmt.Sprintf("template %s: not in the cache, and the network may not be used", e.Ref)
}

// An AuthError says that a git server refused the credentials, or wants some.
type AuthError struct {
	URL  string // without credentials
	Host string
	Sent bool // credentials were found and sent
	SSH  bool // the credentials are the keys of ssh-agent
	// Silent says that there should be an ssh-agent, and that it does not answer.
	Silent bool
	Said   string // the server's own words, made to be read; may be ""
}

func (e *AuthError) Error() string {
	if e.Said != "" {
		return e.problem() + ": " + e.Said
	}
	return e.problem()
}

func (e *AuthError) problem() string {
	switch {
	case e.SSH && e.Sent:
		return fmt.Sprintf("%s: %s refused the keys of ssh-agent", e.URL, e.Host)
	case e.SSH && e.Silent:
		return fmt.Sprintf("%s: %s wants a key, and ssh-agent does not answer", e.URL, e.Host)
	case e.SSH:
		return fmt.Sprintf("%s: %s wants a key, and ssh-agent has none", e.URL, e.Host)
	}
	if e.Sent {
		return fmt.Sprintf("%s: %s refused the credentials", e.URL, e.Host)
	}
	return fmt.Sprintf("%s: %s wants credentials, or there is no such repository", e.URL, e.Host)
}

// A HostKeyError says that nothing was asked of an SSH server because its key is not
// one that known_hosts has for it.
type HostKeyError struct {
	URL         string // without credentials
	Host        string
	Fingerprint string // of the key that the server showed
	Changed     bool   // known_hosts has another key for the host
	Revoked     bool   // known_hosts says not to take this key
}

func (e *HostKeyError) Error() string {
	problem := "is not in known_hosts"
	switch {
	case e.Changed:
		problem = "is not the one in known_hosts: somebody may be in between"
	case e.Revoked:
		problem = "is marked as revoked in known_hosts"
	}
	return fmt.Sprintf("%s: the key of %s (%s) %s", e.URL, e.Host, e.Fingerprint, problem)
}

// A RefusedError says that a repository holds something that fnb does not take
// from anybody: a path that leaves its folder, a submodule, a pointer to Git LFS.
type RefusedError struct {
	Source string
	Path   string // quoted where it is not plain
	Reason string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s: %s: %s", e.Source, e.Path, e.Reason)
}

// A LimitError says that a repository or a template in it is larger than fnb
// accepts.
type LimitError struct {
	Source string
	What   string // and that it is more, such as "a path is longer"
	Limit  int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s: %s than the limit of %d", e.Source, e.What, e.Limit)
}

// A PlainHTTPError says that a request was not made because it would have gone
// over plain HTTP to a host that is neither this machine nor in
// [Options.Insecure].
type PlainHTTPError struct {
	Host string
}

func (e *PlainHTTPError) Error() string {
	return e.Host + " would be spoken to in plain HTTP, which was not asked for"
}

// A NoGitError says that what answers at an address is no git server.
type NoGitError struct {
	URL     string // as it was written, without credentials
	Address string // that was asked, which git's configuration may have instead
	Err     error
}

func (e *NoGitError) Error() string { return e.URL + ": " + e.Err.Error() }

// Unwrap returns what answered.
func (e *NoGitError) Unwrap() error { return e.Err }

// An UnfollowedError is an error that may come from what git or ssh are told to do in
// their configuration, and fnb does not.
type UnfollowedError struct {
	Keys []string // such as http.cookieFile
	Err  error
}

func (e *UnfollowedError) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *UnfollowedError) Unwrap() error { return e.Err }

// An UnreachableError says that a repository could not be read.
type UnreachableError struct {
	URL string // without credentials
	Err error
}

func (e *UnreachableError) Error() string { return e.URL + ": " + e.Err.Error() }

// Unwrap returns what went wrong.
func (e *UnreachableError) Unwrap() error { return e.Err }

// A NoStoreError says that no configured store has a name, or that what is at an
// address is no store.
type NoStoreError struct {
	Name string   // or the address
	Near []string // names that may have been meant, best first
	Err  error    // what is wrong with the address; nil for a name
}

func (e *NoStoreError) Error() string {
	if e.Err != nil {
		return e.Name + ": " + e.Err.Error()
	}
	return fmt.Sprintf("there is no store %q", e.Name)
}

// Unwrap returns what is wrong with the address.
func (e *NoStoreError) Unwrap() error { return e.Err }

// A YankedError says that the version which was asked for has been withdrawn. A
// lock that has it goes on working.
type YankedError struct {
	Kind          string // as in [NotFoundError]
	Name, Version string
	Reason        string
	Use           string // the version to use instead, where one is named
}

func (e *YankedError) Error() string {
	return fmt.Sprintf("%s %s: version %s has been withdrawn: %s", kindOr(e.Kind), e.Name, e.Version, e.Reason)
}

// An IncompatibleError says that the version which was asked for is not for this
// fnb or not for a platform of the function.
type IncompatibleError struct {
	Kind          string // as in [NotFoundError]
	Name, Version string
	Reason        string
}

func (e *IncompatibleError) Error() string {
	return fmt.Sprintf("%s %s: version %s %s", kindOr(e.Kind), e.Name, e.Version, e.Reason)
}

// A RewrittenError says that a store has taken back or changed a version that it
// had before. What the cache has of the store is as it was.
type RewrittenError struct {
	URL, Name, Version string
}

func (e *RewrittenError) Error() string {
	return fmt.Sprintf("%s: version %s of %s is gone or different, and a store only grows", e.URL, e.Version, e.Name)
}

// A ConflictError says that a store has a version already, with another content.
// Nothing was overwritten.
type ConflictError struct {
	Kind          string // as in [NotFoundError]
	Name, Version string
	Have, Want    string // checksums
}

func (e *ConflictError) Error() string {
	if e.Kind == schema.KindFunction {
		return fmt.Sprintf("function %s: version %s is published already, and its record says something else", e.Name, e.Version)
	}
	return fmt.Sprintf("template %s: version %s is published already, with other files: their checksum is %s, and not %s", e.Name, e.Version, e.Have, e.Want)
}

// A LintError says that a template has problems with which it is not published.
type LintError struct {
	Dir      string
	Problems []templates.Problem
}

func (e *LintError) Error() string {
	return fmt.Sprintf("template %s: %s (%d errors in all)", e.Dir, e.Problems[0], len(e.Problems))
}

// A DeclinedError says that a store's server has not taken what was pushed, for a reason
// that trying again does not change: a protected branch, a hook, a full disk.
type DeclinedError struct {
	URL    string // without credentials
	Reason string // in the server's words
}

func (e *DeclinedError) Error() string {
	return fmt.Sprintf("%s: the server has not taken it: %s", e.URL, e.Reason)
}

// An AuthorError says that git does not know who commits.
type AuthorError struct{}

func (*AuthorError) Error() string { return "git does not know your name and e-mail address" }
