package gitrepo

import (
	"context"
	"os"
	"slices"
	"strings"
)

// partial is the remote from which git fetches what a partial clone lacks; "" where the
// repository is not one.
func (a *asked) partial(ctx context.Context) (string, error) {
	all, err := a.config(ctx)
	if err != nil {
		return "", err
	}
	name := ""
	for _, s := range all {
		if s.key == "extensions.partialclone" {
			return s.value, nil
		}
		if remote, ok := strings.CutSuffix(s.key, ".promisor"); ok && s.value == "true" {
			name = strings.TrimPrefix(remote, "remote.")
		}
	}
	return name, nil
}

// names reports whether a setting is of a command that fetching runs.
func (s setting) names() bool {
	if s.value == "" {
		return false
	}
	switch s.key {
	case "core.sshcommand", "core.gitproxy", "core.askpass", "core.alternaterefscommand":
		return true
	}
	return strings.HasPrefix(s.key, "credential.") && strings.HasSuffix(s.key, ".helper") ||
		strings.HasPrefix(s.key, "remote.") && (strings.HasSuffix(s.key, ".uploadpack") || strings.HasSuffix(s.key, ".vcs"))
}

// fetch gets objects of a partial clone that are not there, as git itself does it.
func (a *asked) fetch(ctx context.Context, ids ...string) error {
	remote, err := a.partial(ctx)
	if err != nil || remote == "" {
		return err
	}
	missing := &MissingError{Dir: a.repo.dir, What: "object " + ids[0], Partial: true, Offline: a.repo.offline}
	for _, s := range a.settings {
		if s.own && s.names() {
			missing.Command = s.key
		}
	}
	if missing.Offline || missing.Command != "" || strings.HasPrefix(remote, "-") {
		return missing
	}
	cmd, errs := a.command(ctx, "-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head",
		"--recurse-submodules=no", "--no-auto-maintenance", "--filter=blob:none", "--stdin", "--end-of-options", remote)
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, "GIT_ALLOW_PROTOCOL=") })
	allowed := os.Getenv("GIT_ALLOW_PROTOCOL")
	if allowed == "" {
		allowed = "file:git:http:https:ssh"
	}
	cmd.Env = append(cmd.Env, "GIT_ALLOW_PROTOCOL="+allowed)
	if _, set := os.LookupEnv("GIT_ASKPASS"); !set {
		cmd.Env = append(cmd.Env, "GIT_ASKPASS=") // asks nobody
	}
	cmd.Stdin = strings.NewReader(strings.Join(ids, "\n") + "\n")
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return gitError(a.repo.dir, "fetching what this partial clone lacks", errs.String(), err)
	}
	return nil
}

// complete fetches what a partial clone lacks of some objects and all below them.
func (a *asked) complete(ctx context.Context, ids ...string) error {
	remote, err := a.partial(ctx)
	if err != nil || remote == "" || len(ids) == 0 {
		return err
	}
	for range maxDepth { // each time a folder deeper, where folders are lacking too
		out, err := a.run(ctx, "listing what it lacks", strings.NewReader(strings.Join(ids, "\n")+"\n"),
			"rev-list", "--objects", "--no-object-names", "--missing=print", "--stdin")
		if err != nil {
			return err
		}
		var lacks []string
		for line := range strings.Lines(string(out)) {
			if id, ok := strings.CutPrefix(strings.TrimSpace(line), "?"); ok && isID(id) {
				lacks = append(lacks, id)
			}
		}
		if len(lacks) == 0 {
			return nil
		}
		if err := a.fetch(ctx, lacks...); err != nil {
			return err
		}
	}
	return &MissingError{Dir: a.repo.dir, What: "object " + ids[0], Partial: true}
}
