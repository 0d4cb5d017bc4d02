package git

import (
	"context"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// References are what a repository names.
type References struct {
	Head    string            // the commit of its own branch; "" for none
	Branch  string            // refs/heads/… that is its own; "" for none
	Commits map[string]string // by reference, refs/…; of an annotated tag what it is of
}

// References reads what the repository names.
func (r *Remote) References(ctx context.Context) (References, error) {
	if err := r.connect(ctx); err != nil {
		return References{}, err
	}
	refs := References{Branch: ownBranch(r.adv), Commits: make(map[string]string, len(r.adv.References))}
	if r.adv.Head != nil {
		refs.Head = r.adv.Head.String()
	}
	for name, h := range r.adv.References {
		refs.Commits[name] = h.String()
	}
	for name, h := range r.adv.Peeled {
		refs.Commits[name] = h.String()
	}
	return refs, nil
}

// ownBranch is the branch that a repository's HEAD is at: the one that the server
// names, or else main, master or whichever is there.
func ownBranch(adv *packp.AdvRefs) string {
	if adv.Capabilities != nil {
		for _, v := range adv.Capabilities.Get("symref") {
			if target, ok := strings.CutPrefix(v, "HEAD:"); ok {
				return target
			}
		}
	}
	best := ""
	for name, h := range adv.References {
		if !strings.HasPrefix(name, "refs/heads/") || adv.Head == nil || h != *adv.Head {
			continue
		}
		if name == "refs/heads/main" {
			return name
		}
		if best == "" || name == "refs/heads/master" || best != "refs/heads/master" && name < best {
			best = name
		}
	}
	return best
}
