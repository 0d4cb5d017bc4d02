package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"fnb/gitrepo"
	"fnb/registry"
	"fnb/schema"
	"fnb/store"
)

// A checkedOut is where the git repository of a folder stands. It is read once, when it is
// asked for.
type checkedOut struct {
	dir string

	mu       sync.Mutex
	revision *store.Revision
	err      error
	tag      string // as git describe has it
	noted    bool   // somebody has been told that it cannot be read
}

// read returns the revision. Outside of a repository it is [gitrepo.ErrNone].
func (c *checkedOut) read(ctx context.Context) (store.Revision, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.revision == nil {
		var rev store.Revision
		rev, c.err = store.ReadRevision(ctx, c.dir)
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

// references are what a function's image will be called: what the stack says,
// changed by each --tag.
func (p *pipeline) references(ctx context.Context, fn schema.Function) ([]string, error) {
	rules := p.opts.tags
	if len(rules) == 0 {
		rules = []string{"latest"}
	}
	var refs []string
	for _, rule := range rules {
		ref, err := p.tagged(ctx, fn, rule)
		if err != nil {
			return nil, fmt.Errorf("--tag %s: %w", rule, err)
		}
		if err := registry.CheckReference(ref); err != nil {
			return nil, fmt.Errorf("its image: %w", err)
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// tagged applies one tag rule: latest is the reference as written; sha, branch
// and describe are put behind its tag, as faas-cli does; digest and any other
// value take the place of its tag.
func (p *pipeline) tagged(ctx context.Context, fn schema.Function, rule string) (string, error) {
	repo, tag, err := splitReference(fn.Image)
	if err != nil {
		return "", err
	}
	switch rule {
	case "latest", "":
		return repo + ":" + tag, nil
	case "digest":
		sum, err := p.contextDigest(ctx, fn)
		if err != nil {
			return "", err
		}
		return repo + ":" + sum, nil
	case "sha", "branch", "describe":
	default:
		return repo + ":" + rule, nil
	}
	rev, err := p.git.read(ctx)
	if errors.Is(err, gitrepo.ErrNone) {
		return "", fmt.Errorf("%s is in no git repository", filepath.Dir(p.stack.File))
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
	return repo + ":" + tag + "-" + tagSafe(suffix), nil
}

// contextDigest is 32 hex digits that change with the function's build context:
// with its handler and with its template.
func (p *pipeline) contextDigest(ctx context.Context, fn schema.Function) (string, error) {
	j := &job{fn: fn, report: &schema.FunctionReport{}}
	tmpl, err := p.resolve(ctx, j)
	if err != nil {
		return "", err
	}
	bc, err := p.pack(ctx, j, tmpl)
	if err != nil {
		return "", err
	}
	return bc.Digest[strings.LastIndex(bc.Digest, ":")+1:][:32], nil
}

// splitReference takes a reference apart into repository and tag.
func splitReference(image string) (repo, tag string, err error) {
	if strings.Contains(image, "@") {
		return "", "", fmt.Errorf("the image %q names a digest, which no build can promise; leave it out", image)
	}
	slash := strings.LastIndex(image, "/")
	if i := strings.LastIndex(image, ":"); i > slash {
		return image[:i], image[i+1:], nil
	}
	return image, "latest", nil
}

var notInTag = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// tagSafe makes a branch or tag of git fit into an image's tag: feature/x is
// feature-x.
func tagSafe(s string) string {
	s = notInTag.ReplaceAllString(s, "-")
	return s[:min(len(s), 100)]
}

// revisionLabels say where the source of an image is, where that is known; a note says why
// it is not.
func (p *pipeline) revisionLabels(ctx context.Context) (_ map[string]string, note string) {
	rev, err := p.git.read(ctx)
	if err != nil {
		return nil, p.git.unread(err) // outside of a repository there is nothing to say
	}
	labels := map[string]string{"org.opencontainers.image.revision": rev.Commit}
	if rev.Source != "" {
		labels["org.opencontainers.image.source"] = rev.Source
	}
	return labels, ""
}
