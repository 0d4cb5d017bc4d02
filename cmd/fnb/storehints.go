package main

import (
	"errors"
	"path"
	"path/filepath"
	"strings"

	"fnb/internal/plain"
	"fnb/pipeline"
	"fnb/schema"
	"fnb/store"
	"fnb/store/cache"
	"fnb/store/git"
	"fnb/store/publish"
	"fnb/store/records"
)

// isStoreError reports whether an error says that a store does not have what was
// asked for, or not as it was.
func isStoreError(err error) bool {
	return is[*records.NoStoreError](err) || is[*store.YankedError](err) || is[*store.IncompatibleError](err) || is[*cache.RewrittenError](err) || is[*store.ImageError](err) || is[*store.RefusedError](err)
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
	if b, ok := errors.AsType[*records.BareError](err); ok {
		return []string{"name it by its address: file://" + filepath.ToSlash(b.Path)}
	}
	if n, ok := errors.AsType[*records.NoStoreError](err); ok && n.Err != nil {
		return []string{"start a store with: fnb store init DIR", "see what a store is: fnb store add --help"}
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
	if o, ok := errors.AsType[*records.OccupiedError](err); ok {
		return []string{"write it to a folder of its own: --out " + plain.ShellWord(filepath.Join(o.Dir, "index"))}
	}
	if is[*publish.ConflictError](err) {
		return []string{"publish it under another version with: --version V"}
	}
	if is[*git.DeclinedError](err) {
		return []string{"ask whoever runs the store; if it takes proposals, propose it with: --pr"}
	}
	if l, ok := errors.AsType[*publish.LintError](err); ok {
		return []string{"see all problems with: fnb template lint " + l.Dir}
	}
	if is[*git.AuthorError](err) {
		return []string{"say it with: git config --global user.name NAME", "and: git config --global user.email ADDRESS"}
	}
	if i, ok := errors.AsType[*store.ImageError](err); ok {
		return []string{"see the other versions with: fnb store show " + i.Name}
	}
	if hints := signatureHints(err); hints != nil {
		return hints
	}
	if is[*cache.RewrittenError](err) {
		return []string{"ask whoever runs the store; if the change is wanted, remove the store and add it again"}
	}
	if is[*store.StaleError](err) {
		return []string{"use the copy that fnb has with: --offline"}
	}
	if is[*git.InwardError](err) {
		return []string{"if a store may lead there, name the host: export FNB_PRIVATE_HOSTS=HOST"}
	}
	if is[*git.PlainHTTPError](err) {
		return []string{"write https:// or ssh:// instead"}
	}
	if g, ok := errors.AsType[*git.NoGitError](err); ok {
		return []string{"see what answers: curl -L " + plain.ShellWord(g.Address+"/info/refs?service=git-upload-pack")}
	}
	if is[*git.FormatError](err) {
		return []string{"use a copy of the template as a folder: --lang ./FOLDER"}
	}
	return reachHints(err)
}

// reachHints say what to type where a repository or file does not answer.
func reachHints(err error) []string {
	var out []string
	if f, ok := errors.AsType[*git.UnfollowedError](err); ok {
		out = append(out, "fnb does not follow this of git's configuration: "+strings.Join(f.Keys, ", "))
	}
	u, ok := errors.AsType[*git.UnreachableError](err)
	switch {
	case !ok, strings.HasPrefix(u.URL, "file:"), filepath.IsAbs(u.URL), strings.ContainsAny(u.URL, " \t"):
	case path.Ext(u.URL) == ".json", path.Ext(u.URL) == ".gz":
		out = append(out, "see whether it answers: curl -I "+plain.ShellWord(u.URL))
	default:
		out = append(out, "see whether git reaches it: git ls-remote "+plain.ShellWord(u.URL))
	}
	return out
}

// ofTemplate adds to the error for a template what else can be done where its
// repository is the reason.
func ofTemplate(err error) error { return &pipeline.TemplateError{Err: err} }

// copyHints say how to do without a template's repository, where that is the reason.
func copyHints(err error) []string {
	if !is[*pipeline.TemplateError](err) {
		return nil
	}
	if r, ok := errors.AsType[*git.RefusedError](err); ok && strings.Contains(r.Source, "://") && !strings.HasPrefix(r.Path, "commit ") {
		return []string{"use a copy of the template without it, as a folder: --lang ./FOLDER"}
	}
	if l, ok := errors.AsType[*git.LimitError](err); ok && strings.Contains(l.Source, "://") {
		return []string{"use a copy of the template with less in it, as a folder: --lang ./FOLDER"}
	}
	return nil
}
