package store

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"path"
	"strings"

	"fnb/schema"
	"fnb/store/git"
	"fnb/store/records"
)

// openFaaSNames has a name and a repository a line. What is fetched comes from the
// repository, not from here.
//
//go:embed openfaas_names.txt
var openFaaSNames string //nolint:gochecknoglobals // embedded

// openFaaSDate is the day of which the names are.
const openFaaSDate = "2026-07-24"

// OpenFaaSRepository returns the repository in which OpenFaaS's template store has a
// template; "" for a name that it does not have.
func OpenFaaSRepository(name string) string {
	for line := range strings.Lines(openFaaSNames) {
		if n, repo, ok := strings.Cut(strings.TrimSpace(line), " "); ok && n == name {
			return "https://github.com/" + repo
		}
	}
	return ""
}

// fromOpenFaaS finds a template of OpenFaaS's template store by its bare name, as
// faas-cli does: in the repository that the store names, at the tag, branch or commit
// behind @.
func (l *lookup) fromOpenFaaS(ctx context.Context) (resolution, error) {
	url := OpenFaaSRepository(l.parsed.Name)
	if url == "" || l.parsed.Store != "" || !l.scope.OpenFaaS {
		missing := &NotFoundError{Name: l.ref, Near: l.near(), OpenFaaS: url}
		if len(missing.Near) == 0 {
			missing.There = officialNames()
		}
		return resolution{}, missing
	}
	if !l.pinned {
		l.note("template %s is one of OpenFaaS's, from %s; fnb.lock keeps its commit and checksum (names as of %s)", l.ref, url, openFaaSDate)
	}
	want := gitWant{url: url, path: path.Join(vendorDir, l.parsed.Name), name: l.parsed.Name}
	want.rng, want.ref, want.semver = l.gitRange()
	f, err := l.fromGit(ctx, want)
	if near := l.near(); unreached(err) && len(near) > 0 && !l.pinned {
		err = fmt.Errorf("it is not here, and OpenFaaS's template of that name cannot be fetched: %w", err)
		return resolution{}, &NotFoundError{Name: l.ref, Near: near, Err: err}
	}
	if err != nil || !strings.Contains(l.parsed.Range, "sha256:") {
		return f, err
	}
	return f, l.fits(f.template, url)
}

// unreached reports whether an error says that nothing could be fetched, whatever is there.
func unreached(err error) bool {
	_, offline := errors.AsType[*OfflineError](err)
	_, unreachable := errors.AsType[*git.UnreachableError](err)
	return offline || unreachable
}

// fromList finds a template that a list of OpenFaaS' names: in its repository, at
// the git reference or in the range that was asked for.
func (l *lookup) fromList(ctx context.Context, c Store, e *records.OpenFaaSTemplate) (resolution, error) {
	ref, err := schema.ParseTemplateRef(e.Repo)
	if err != nil {
		return resolution{}, err
	}
	if err := c.mayName(l.ref, ref.URL); err != nil {
		return resolution{}, err
	}
	want := gitWant{url: ref.URL, path: path.Join(vendorDir, e.Template), ref: ref.Ref, name: e.Template, from: l.finder.reachOf(c)}
	if l.parsed.Range != "" {
		want.rng, want.ref, want.semver = l.gitRange()
	}
	f, err := l.fromGit(ctx, want)
	if err != nil {
		return resolution{}, err
	}
	if strings.Contains(l.parsed.Range, "sha256:") {
		return f, l.fits(f.template, "store "+c.Name)
	}
	return f, nil
}
