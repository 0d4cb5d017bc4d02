package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxSaid = 16 << 10        // bytes that are kept of what git says on standard error
	patient = 2 * time.Second // for what git has started, once it is to end
)

// An asked repository is read by the command git.
type asked struct {
	repo *Repo
	bin  string
	args []string // before each command
	env  []string

	configure sync.Once
	settings  []setting
	confErr   error
}

// A setting is one line of git's configuration.
type setting struct {
	key, value string
	own        bool // set by the repository itself
}

// locating are the variables by which git finds a repository, or parts of one.
func locating() []string {
	return []string{
		"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
		"GIT_PREFIX", "GIT_NAMESPACE", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE",
	}
}

// ask opens a repository by git.
func (r *Repo) ask(ctx context.Context, bin string, opts Options) error {
	named := os.Getenv("GIT_DIR") != ""
	if !found(r.dir, opts.Itself) && (!named || opts.Itself) {
		return ErrNone
	}
	a := &asked{repo: r, bin: bin}
	r.source = a
	// Those variables are of the repository in which fnb was started, in a hook of git's
	// for one. That need not be the one that the folder is in.
	if named && !opts.Itself {
		if a.env = environment(os.Environ(), true); a.place(ctx) == nil {
			return nil
		}
	}
	a.env = environment(os.Environ(), false)
	if opts.Itself && !exists(filepath.Join(r.dir, ".git")) {
		a.args = []string{"--git-dir=" + r.dir}
	}
	if !found(r.dir, opts.Itself) {
		return ErrNone
	}
	return a.place(ctx)
}

// place asks where the checkout is.
func (a *asked) place(ctx context.Context) error {
	r := a.repo
	out, err := a.run(ctx, "opening it", nil, "rev-parse", "--is-bare-repository", "--is-shallow-repository", "--show-toplevel")
	answers := strings.SplitN(strings.TrimSuffix(string(out), "\n"), "\n", 3)
	if len(answers) > 1 && answers[0] == "true" { // a bare one has no top
		r.Shallow, r.Prefix = answers[1] == "true", "."
		return nil
	}
	var refused *GitError
	if errors.As(err, &refused) && strings.HasPrefix(refused.Said, "not a git repository (or any ") {
		return ErrNone
	}
	if err != nil {
		return err
	}
	if len(answers) != 3 {
		return fmt.Errorf("the git repository of %s: git rev-parse answers %q", r.dir, out)
	}
	r.Shallow = answers[1] == "true"
	return r.place(filepath.FromSlash(answers[2]))
}

// environment is fnb's own, without what changes what git says or does, other than
// settings of the user's.
func environment(own []string, keep bool) []string {
	drop := []string{"LANGUAGE", "LC_ALL", "GIT_EXTERNAL_DIFF", "GIT_DIFF_OPTS", "GIT_PAGER", "GIT_EDITOR", "GIT_FLUSH", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"}
	var env []string
	for _, v := range own {
		name, value, _ := strings.Cut(v, "=")
		at := slices.Contains(locating(), name)
		switch {
		case slices.Contains(drop, name), strings.HasPrefix(name, "GIT_TRACE"), at && !keep, name == "GIT_ALLOW_PROTOCOL":
		case at && name != "GIT_NAMESPACE" && name != "GIT_PREFIX" && name != "GIT_IMPLICIT_WORK_TREE" && !strings.Contains(name, "ALTERNATE"):
			if full, err := filepath.Abs(value); err == nil { // it is relative to where fnb runs
				value = full
			}
			env = append(env, name+"="+value)
		default:
			env = append(env, v)
		}
	}
	return append(env, "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_PAGER=cat",
		"GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none", "PWD="+os.DevNull)
}

// quiet are settings that keep git from running what a repository names.
func quiet() []string {
	var args []string
	for _, s := range []string{
		"core.hooksPath=" + os.DevNull, "core.fsmonitor=false", "core.untrackedCache=false", "core.pager=cat",
		"core.fileMode=true", "core.checkStat=default", "core.trustctime=true", "core.quotePath=false",
		"diff.external=", "diff.renames=false", "diff.ignoreSubmodules=none", "submodule.recurse=false", "gc.auto=0", "maintenance.auto=false",
		"protocol.ext.allow=never", "log.showSignature=false",
	} {
		args = append(args, "-c", s)
	}
	return args
}

// command is one command of git, that ends when ctx does.
func (a *asked) command(ctx context.Context, args ...string) (*exec.Cmd, *said) {
	cmd := exec.CommandContext(ctx, a.bin, slices.Concat(a.args, quiet(), args)...)
	cmd.Dir, cmd.WaitDelay = a.repo.dir, patient
	cmd.Env = append(slices.Clone(a.env), "PWD="+a.repo.dir)
	errs := &said{}
	cmd.Stderr = errs
	return cmd, errs
}

// run returns what a command of git prints.
func (a *asked) run(ctx context.Context, doing string, in io.Reader, args ...string) ([]byte, error) {
	cmd, errs := a.command(ctx, args...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout = in, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return out.Bytes(), gitError(a.repo.dir, doing, errs.String(), err)
	}
	return out.Bytes(), nil
}

// said keeps the beginning of what is written to it.
type said struct{ bytes.Buffer }

func (s *said) Write(p []byte) (int, error) {
	if room := maxSaid - s.Len(); room > 0 {
		s.Buffer.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

func (a *asked) head(ctx context.Context) (h Head, err error) {
	o, err := a.objects(ctx)
	if err != nil {
		return h, err
	}
	commit, err := o.get("HEAD^{commit}", maxTree)
	if err = errors.Join(err, o.close()); err != nil {
		var missing *MissingError
		if errors.As(err, &missing) {
			return h, &EmptyError{Dir: a.repo.dir}
		}
		return h, err
	}
	h.Commit = commit.id
	out, err := a.run(ctx, "reading HEAD", nil, "symbolic-ref", "--quiet", "HEAD")
	if err != nil && ctx.Err() != nil {
		return h, err
	}
	if branch, ok := strings.CutPrefix(strings.TrimSuffix(string(out), "\n"), "refs/heads/"); ok && err == nil {
		h.Branch = branch // otherwise HEAD is detached
	}
	return h, nil
}

func (a *asked) describe(ctx context.Context) (string, error) {
	out, err := a.run(ctx, "describing HEAD", nil, "describe", "--tags", "--always")
	return strings.TrimSuffix(string(out), "\n"), err
}

func (a *asked) remote(ctx context.Context, name string) (string, error) {
	all, err := a.config(ctx)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(all, func(s setting) bool { return s.key == "remote."+name+".url" })
	if i < 0 {
		return "", nil
	}
	return all[i].value, nil
}

// config returns git's settings for the repository, in the order in which they count.
func (a *asked) config(ctx context.Context) ([]setting, error) {
	a.configure.Do(func() {
		var out []byte
		if out, a.confErr = a.run(ctx, "reading its configuration", nil, "config", "--list", "--null", "--show-scope", "--includes"); a.confErr != nil {
			return
		}
		parts := strings.Split(string(out), "\x00")
		for i := 0; i+1 < len(parts); i += 2 {
			key, value, _ := strings.Cut(parts[i+1], "\n")
			a.settings = append(a.settings, setting{key, value, parts[i] == "local" || parts[i] == "worktree"})
		}
	})
	return a.settings, a.confErr
}
