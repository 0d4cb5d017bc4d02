package main

import (
	"errors"
	"path"
	"path/filepath"
	"strings"

	"fnb/schema"
	"fnb/store"
)

// isStoreError reports whether an error says that a store does not have what was
// asked for, or not as it was.
func isStoreError(err error) bool {
	return is[*store.NoStoreError](err) || is[*store.YankedError](err) || is[*store.IncompatibleError](err) || is[*store.RewrittenError](err) || is[*store.ImageError](err)
}

// showCommand shows what a name of a store stands for.
func showCommand(kind string) string {
	if kind == schema.KindFunction {
		return "fnb store show "
	}
	return "fnb template show "
}

// storeHints say what a person can type now about a store.
func storeHints(err error) []string {
	if n, ok := errors.AsType[*store.NoStoreError](err); ok && n.Err != nil {
		return []string{"see what a store is: fnb store add --help"}
	} else if ok {
		if len(n.Near) > 0 {
			return []string{"did you mean: " + strings.Join(n.Near, ", ")}
		}
		return []string{"see the stores with: fnb store list --stores"}
	}
	if y, ok := errors.AsType[*store.YankedError](err); ok {
		if y.Use != "" {
			return []string{"take the version that replaces it: " + y.Name + "@" + y.Use}
		}
		return []string{"see the versions with: " + showCommand(y.Kind) + y.Name}
	}
	if i, ok := errors.AsType[*store.IncompatibleError](err); ok {
		return []string{"see the versions with: " + showCommand(i.Kind) + i.Name}
	}
	if is[*store.ConflictError](err) {
		return []string{"publish it under another version with: --version V"}
	}
	if is[*store.DeclinedError](err) {
		return []string{"ask whoever runs the store, or propose it, where that is possible, with: --pr"}
	}
	if l, ok := errors.AsType[*store.LintError](err); ok {
		return []string{"see all problems with: fnb template lint " + l.Dir}
	}
	if is[*store.AuthorError](err) {
		return []string{"say it with: git config --global user.name NAME", "and: git config --global user.email ADDRESS"}
	}
	if i, ok := errors.AsType[*store.ImageError](err); ok {
		return []string{"see the other versions with: fnb store show " + i.Name}
	}
	if is[*store.RewrittenError](err) {
		return []string{"ask whoever runs the store; if the change is wanted, remove the store and add it again"}
	}
	if is[*store.StaleError](err) {
		return []string{"use it as it was, if that will do, with: --offline"}
	}
	if is[*store.InwardError](err) {
		return []string{"if a store may lead there, name the host: export FNB_PRIVATE_HOSTS=HOST"}
	}
	if is[*store.PlainHTTPError](err) {
		return []string{"write https:// or ssh:// instead"}
	}
	if g, ok := errors.AsType[*store.NoGitError](err); ok {
		return []string{"see what answers: curl -L " + shellWord(g.Address+"/info/refs?service=git-upload-pack")}
	}
	if is[*store.FormatError](err) {
		return []string{"use a copy of the template as a folder: --lang ./FOLDER"}
	}
	return reachHints(err)
}

// reachHints say what to type where a repository or file does not answer.
func reachHints(err error) []string {
	var out []string
	if f, ok := errors.AsType[*store.UnfollowedError](err); ok {
		out = append(out, "fnb does not follow this of git's configuration: "+strings.Join(f.Keys, ", "))
	}
	u, ok := errors.AsType[*store.UnreachableError](err)
	switch {
	case !ok, strings.HasPrefix(u.URL, "file:"), filepath.IsAbs(u.URL), strings.ContainsAny(u.URL, " \t"):
	case path.Ext(u.URL) == ".json", path.Ext(u.URL) == ".gz":
		out = append(out, "see whether it answers: curl -I "+shellWord(u.URL))
	default:
		out = append(out, "see whether git reaches it: git ls-remote "+shellWord(u.URL))
	}
	return out
}

// ofTemplate adds to the error for a template what else can be done where its
// repository is the reason.
func ofTemplate(err error) error {
	if r, ok := errors.AsType[*store.RefusedError](err); ok && strings.Contains(r.Source, "://") && !strings.HasPrefix(r.Path, "commit ") {
		return hint(err, "use a copy of the template without it, as a folder: --lang ./FOLDER")
	}
	if l, ok := errors.AsType[*store.LimitError](err); ok && strings.Contains(l.Source, "://") {
		return hint(err, "use a copy of the template with less in it, as a folder: --lang ./FOLDER")
	}
	return err
}
