package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"fnb/registry"
	"fnb/schema"
	"fnb/store"
)

// worktree returns a function that reads the revision of dir's git repository,
// once.
func worktree(dir string) func() (store.Revision, error) {
	return sync.OnceValues(func() (store.Revision, error) { return store.ReadRevision(dir) })
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
	rev, err := p.git()
	if errors.Is(err, store.ErrNoRepository) {
		return "", fmt.Errorf("%s is in no git repository", filepath.Dir(p.stack.File))
	}
	if err != nil {
		return "", err
	}
	suffix := rev.Commit[:7]
	switch {
	case rule == "describe":
		if suffix, err = p.describe(); err != nil {
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

// revisionLabels say where the source of an image is, where that is known.
func (p *pipeline) revisionLabels() map[string]string {
	rev, err := p.git()
	if err != nil {
		return nil // outside of a repository there is nothing to say
	}
	labels := map[string]string{"org.opencontainers.image.revision": rev.Commit}
	if rev.Source != "" {
		labels["org.opencontainers.image.source"] = rev.Source
	}
	return labels
}
