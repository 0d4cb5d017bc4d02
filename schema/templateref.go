package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"fnb/internal/lazyregexp"
	"fnb/origin"
)

// A RefKind is a kind of template reference.
type RefKind string

// The kinds of template reference.
const (
	RefName   RefKind = "name"   // looked up in a store
	RefGit    RefKind = "git"    // a git repository
	RefFolder RefKind = "folder" // a folder
)

// A TemplateRef is a template reference: what a stack's lang says. Which fields
// are set depends on Kind.
type TemplateRef struct {
	Kind RefKind

	// Of RefName: [store:][namespace/]name[@range].
	Store     string
	Namespace string
	Name      string
	Range     string // "" for the highest stable version
	IsSemver  bool   // Range is a SemVer range; otherwise it is a git tag, branch or sha-COMMIT, as OpenFaaS writes them, or a content checksum

	// Of RefGit: URL[//path][#ref].
	URL  string // of the repository: https, http, ssh, git or file, or user@host:path; never with a password
	Path string // folder of the template in the repository, slash-separated; "" where not said
	Ref  string // git tag, branch, commit or sha-COMMIT; "" for the repository's own branch

	// Of RefFolder: as written, relative to the stack file.
	Dir string
}

var (
	contentRange = lazyregexp.New(`^(fnb1:)?sha256:[0-9a-f]{64}$`)
	gitRef       = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_./+-]*$`)
	scpURL       = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9_.-]*:[^-:].*$`)
)

// ParseTemplateRef reads a template reference in one of the forms
//
//	name  ns/name  name@range  ns/name@range  store:ns/name@range
//	https://host/org/repo//path#ref  ssh://…  git://…  file://…  git@host:org/repo
//	./folder  ../folder  /folder
//
// A range is a SemVer range ("1", "^1.2", ">=1 <3", "1.2.3"), a content checksum,
// or what OpenFaaS allows: a git tag, a branch or sha-COMMIT.
func ParseTemplateRef(s string) (TemplateRef, error) {
	ref, err := parseTemplateRef(s)
	if err != nil {
		return TemplateRef{}, fmt.Errorf("%q is not a template reference: %w", redactUserinfo(s), err)
	}
	return ref, nil
}

func parseTemplateRef(s string) (TemplateRef, error) {
	if s == "" {
		return TemplateRef{}, errors.New("it is empty")
	}
	if strings.TrimSpace(s) != s || strings.ContainsFunc(s, isControl) {
		return TemplateRef{}, errors.New("it has space at an end or control characters")
	}
	if s == "." || s == ".." || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../") || strings.HasPrefix(s, "/") {
		return TemplateRef{Kind: RefFolder, Dir: s}, nil
	}
	name, rng, hasRange := strings.Cut(s, "@")
	if strings.HasPrefix(rng, "sha256:") || strings.HasPrefix(rng, "fnb1:") { // not user@host:path
		return parseNamedRef(name, rng)
	}
	if strings.Contains(s, "://") || scpURL.MatchString(s) {
		return parseGitRef(s)
	}
	if hasRange && rng == "" {
		return TemplateRef{}, errors.New("nothing follows the @")
	}
	return parseNamedRef(name, rng)
}

func parseNamedRef(name, rng string) (TemplateRef, error) {
	ref := TemplateRef{Kind: RefName, Name: name, Range: rng}
	if store, rest, ok := strings.Cut(name, ":"); ok {
		ref.Store, ref.Name = store, rest
		if err := checkStoreName(store); err != nil {
			return TemplateRef{}, err
		}
	}
	if ns, rest, ok := strings.Cut(ref.Name, "/"); ok {
		ref.Namespace, ref.Name = ns, rest
		if err := checkStoreName(ns); err != nil {
			return TemplateRef{}, err
		}
	}
	// A bare name may be that of a folder in template/, which faas-cli gives any name.
	if err := checkStoreName(ref.Name); err != nil && (name != ref.Name || !folderName.MatchString(name) || deviceName.MatchString(name)) {
		return TemplateRef{}, err
	}
	if rng == "" || contentRange.MatchString(rng) {
		return ref, nil
	}
	if _, err := semver.NewConstraint(rng); err == nil {
		ref.IsSemver = true
		return ref, nil
	}
	return ref, checkGitRef(rng)
}

// checkGitRef returns an error if ref cannot name a git tag, branch or commit,
// or could be taken for an option of git's.
func checkGitRef(ref string) error {
	if len(ref) > 255 || !gitRef.MatchString(ref) || strings.Contains(ref, "..") ||
		strings.Contains(ref, "//") || strings.HasSuffix(ref, "/") || strings.HasSuffix(ref, ".") || strings.HasSuffix(ref, ".lock") {
		return fmt.Errorf("%q is neither a version range nor a git tag, branch or commit", ref)
	}
	return nil
}

func parseGitRef(s string) (TemplateRef, error) {
	ref := TemplateRef{Kind: RefGit, URL: s}
	if repository, fragment, ok := strings.Cut(s, "#"); ok {
		ref.URL, ref.Ref = repository, fragment
		if err := checkGitRef(fragment); err != nil {
			return TemplateRef{}, err
		}
	}
	start := 0
	if i := strings.Index(ref.URL, "://"); i >= 0 {
		start = i + len("://")
	}
	if i := strings.Index(ref.URL[start:], "//"); i >= 0 {
		ref.Path = ref.URL[start+i+2:]
		ref.URL = ref.URL[:start+i]
		if !fs.ValidPath(ref.Path) || ref.Path == "." {
			return TemplateRef{}, fmt.Errorf("%q is not a path in a repository", ref.Path)
		}
	}
	if start == 0 {
		return ref, checkSCPPath(ref.URL)
	}
	return ref, checkGitURL(ref.URL)
}

func checkSCPPath(s string) error {
	_, file, _ := strings.Cut(s, ":")
	if strings.ContainsAny(file, " ?\\") || path.Clean("/"+file) == "/" {
		return errors.New("it names no repository")
	}
	return nil
}

func checkGitURL(s string) error {
	u, err := origin.Check(s)
	if err != nil {
		return err
	}
	if !slices.Contains([]string{"https", "http", "ssh", "git", "file"}, u.Scheme) {
		return fmt.Errorf("the scheme %q is not one of https, http, ssh, git, file", u.Scheme)
	}
	_, hasPassword := u.User.Password()
	switch {
	case hasPassword, u.User != nil && u.Scheme != "ssh":
		return errors.New("it has credentials in it, which belong in a git credential helper")
	case strings.HasPrefix(u.Host, "-"), strings.HasPrefix(u.User.Username(), "-"):
		return errors.New("its host is malformed")
	case path.Clean("/"+u.Path) == "/":
		return errors.New("it names no repository")
	case u.RawQuery != "" || u.ForceQuery:
		return errors.New("a git URL has no query")
	case strings.Contains(u.Path, "\\"), strings.ContainsAny(s, " "):
		return origin.ErrMalformed
	}
	return nil
}

// redactUserinfo returns s without what may be a password in a URL, for errors.
func redactUserinfo(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	// A password may have a slash in it.
	at := strings.LastIndex(rest, "@")
	if authority, _, _ := strings.Cut(rest, "/"); at > len(authority) && !strings.Contains(rest[:at], ":") {
		at = strings.LastIndex(authority, "@")
	}
	if at < 0 {
		return s
	}
	return scheme + "://…" + rest[at:]
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' }

// String returns r as a stack writes it; parsing it gives r again.
func (r TemplateRef) String() string {
	var b strings.Builder
	switch r.Kind {
	case RefFolder:
		b.WriteString(r.Dir)
	case RefGit:
		b.WriteString(r.URL)
		if r.Path != "" {
			b.WriteString("//" + r.Path)
		}
		if r.Ref != "" {
			b.WriteString("#" + r.Ref)
		}
	case RefName:
		if r.Store != "" {
			b.WriteString(r.Store + ":")
		}
		if r.Namespace != "" {
			b.WriteString(r.Namespace + "/")
		}
		b.WriteString(r.Name)
		if r.Range != "" {
			b.WriteString("@" + r.Range)
		}
	}
	return b.String()
}
