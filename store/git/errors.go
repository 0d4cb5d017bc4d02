package git

import "fmt"

// A NotFoundError says that a server or a folder does not have a repository, or the
// repository not a commit, or a server not a file.
type NotFoundError struct {
	URL string // without credentials
	Err error
}

func (e *NotFoundError) Error() string { return e.URL + ": " + e.Err.Error() }

// Unwrap returns what is missing.
func (e *NotFoundError) Unwrap() error { return e.Err }

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
	return fmt.Sprintf("plain HTTP to %s is not allowed", e.Host)
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
