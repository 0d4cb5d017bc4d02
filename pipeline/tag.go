package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"fnb/gitrepo"
	"fnb/internal/lazyregexp"
	"fnb/schema"
	"fnb/schema/words"
)

// A checkedOut is where the git repository of a folder stands. It is read once, when it is
// asked for.
type checkedOut struct {
	dir string

	mu       sync.Mutex
	revision *gitrepo.Revision
	err      error
	tag      string // as git describe has it
	noted    bool   // somebody has been told that it cannot be read
}

// read returns the revision. Outside of a repository it is [gitrepo.ErrNone].
func (c *checkedOut) read(ctx context.Context) (gitrepo.Revision, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.revision == nil {
		var rev gitrepo.Revision
		rev, c.err = gitrepo.ReadRevision(ctx, c.dir)
		c.revision = &rev
	}
	return *c.revision, c.err
}

// describe names the commit by its nearest tag.
func (c *checkedOut) describe(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tag != "" {
		return c.tag, nil
	}
	repo, err := gitrepo.Open(ctx, c.dir, gitrepo.Options{})
	if err == nil {
		c.tag, err = repo.Describe(ctx)
	}
	return c.tag, err
}

// unread is a note that a repository could not be read, once; "" otherwise.
func (c *checkedOut) unread(err error) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.noted || err == nil || errors.Is(err, gitrepo.ErrNone) || is[*gitrepo.EmptyError](err) {
		return ""
	}
	c.noted = true
	return "the labels for revision and source are left out: " + err.Error()
}

// References are what a function's image will be called: what the stack says,
// changed by each --tag.
func (p *Pipeline) References(ctx context.Context, fn schema.Function) ([]Reference, error) {
	image, err := ParseReference(fn.Image)
	if err != nil {
		return nil, fmt.Errorf("its image: %w", err)
	}
	rules := p.settings.Tags
	if len(rules) == 0 {
		rules = []string{"latest"}
	}
	var refs []Reference
	for _, rule := range rules {
		tag, err := p.tag(ctx, fn, image, rule)
		if err != nil {
			return nil, &TagError{Rule: rule, Err: err}
		}
		ref, err := ParseReference(image.WithTag(tag).Text) // a rule may be any text
		if err != nil {
			return nil, fmt.Errorf("its image: %w", err)
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// tag applies one tag rule to the image of the stack file: latest is its tag as written;
// sha, branch and describe are put behind it, as faas-cli does; digest and any other
// value take its place.
func (p *Pipeline) tag(ctx context.Context, fn schema.Function, image Reference, rule string) (string, error) {
	if image.Says.Digest != "" {
		return "", fmt.Errorf("the image %q names a digest, which no build can promise; leave it out", image.Text)
	}
	switch rule {
	case "latest", "":
		return image.Says.Tag, nil
	case "digest":
		return p.contextDigest(ctx, fn)
	case "sha", "branch", "describe":
	default:
		return rule, nil
	}
	rev, err := p.git.read(ctx)
	if errors.Is(err, gitrepo.ErrNone) {
		return "", fmt.Errorf("%s is in no git repository", filepath.Dir(p.Stack.File))
	}
	if err != nil {
		return "", err
	}
	suffix := rev.Commit[:7]
	switch {
	case rule == "describe":
		if suffix, err = p.git.describe(ctx); err != nil {
			return "", err
		}
	case rule == "branch" && rev.Branch == "":
		return "", errors.New("HEAD is on no branch")
	case rule == "branch":
		suffix = rev.Branch + "-" + suffix
	}
	return image.Says.Tag + "-" + tagSafe(suffix), nil
}

// contextDigest is 32 hex digits that change with the function's build context:
// with its handler and with its template.
func (p *Pipeline) contextDigest(ctx context.Context, fn schema.Function) (string, error) {
	tmpl, err := p.resolve(ctx, fn)
	if err != nil {
		return "", cause(err)
	}
	bc, err := p.assemble(ctx, fn, tmpl)
	if err != nil {
		return "", cause(err)
	}
	digest := bc.context.Digest
	return digest[strings.LastIndex(digest, ":")+1:][:32], nil
}

var notInTag = lazyregexp.New(`[^A-Za-z0-9_.-]+`)

// tagSafe makes a branch or tag of git fit into an image's tag: feature/x is
// feature-x.
func tagSafe(s string) string {
	s = notInTag.ReplaceAllString(s, "-")
	return s[:min(len(s), 100)]
}

// revisionLabels say where the source of an image is, where that is known; a note says why
// it is not.
func (p *Pipeline) revisionLabels(ctx context.Context) (_ map[string]string, note string) {
	rev, err := p.git.read(ctx)
	if err != nil {
		return nil, p.git.unread(err) // outside of a repository there is nothing to say
	}
	labels := map[string]string{words.LabelRevision: rev.Commit}
	if rev.Source != "" {
		labels[words.LabelSource] = rev.Source
	}
	return labels, ""
}
