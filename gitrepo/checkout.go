package gitrepo

import (
	"bytes"
	"context"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// A Checkout says where the files of a checkout may differ from those of a revision.
type Checkout struct {
	known  bool
	within []string        // what was compared
	paths  []string        // that may differ, sorted
	has    map[string]bool // the same
	absent []string        // files that a sparse checkout leaves out
}

// LeftOut reports whether a sparse checkout leaves out a file, or files below a folder,
// at a path.
func (c Checkout) LeftOut(name string) bool {
	return slices.ContainsFunc(c.absent, func(file string) bool { return file == name || strings.HasPrefix(file, name+"/") })
}

// maxPaths is how many paths are compared apart; git compares the folders that they are in as
// fast as more of them.
const maxPaths = 16

// Same reports whether what is at a path is surely what the revision has there: tracked,
// with the bytes that git would check out, and with nothing beside it. A file that a sparse
// checkout leaves out counts as what it would be.
func (c Checkout) Same(name string) bool {
	if !c.known || !slices.ContainsFunc(c.within, func(at string) bool {
		return at == "." || at == name || strings.HasPrefix(name, at+"/")
	}) {
		return false
	}
	for at := name; ; at = path.Dir(at) {
		if c.has[at] {
			return false
		}
		if at == "." || at == "/" {
			break
		}
	}
	below := name + "/"
	if name == "." {
		return len(c.paths) == 0
	}
	i, _ := slices.BinarySearch(c.paths, below)
	return i == len(c.paths) || !strings.HasPrefix(c.paths[i], below)
}

// Checkout compares what is at some paths of the checkout, relative to its root and with
// slashes, with the files of a revision, without reading any that git knows to be as they
// were. Git looks at the files while open opens the revision, which may be called at any time.
// Without git, or where git cannot tell, nothing is the same.
func (r *Repo) Checkout(ctx context.Context, open func() (*Tree, error), paths []string) (Checkout, error) {
	a, ok := r.source.(*asked)
	if !ok || r.Root == "" {
		return Checkout{}, nil
	}
	off, ok := a.withoutFilters(ctx)
	if !ok {
		return Checkout{}, ctx.Err()
	}
	within := fewer(paths)
	limit := within
	if slices.Contains(within, ".") {
		limit = nil
	}
	var changed, staged, files []byte
	group, gctx := errgroup.WithContext(ctx)
	list := func(args ...string) (out []byte, err error) {
		cmd, _ := a.command(gctx, slices.Concat(off, args)...)
		cmd.Dir, cmd.Env = r.Root, append(cmd.Env, "PWD="+r.Root, "GIT_LITERAL_PATHSPECS=1")
		return cmd.Output()
	}
	diff := []string{"--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all"}
	group.Go(func() (err error) {
		changed, err = list(slices.Concat([]string{"diff-files"}, diff, []string{"--"}, limit)...)
		return err
	})
	group.Go(func() (err error) {
		// One thread costs less, beside those that compare.
		files, err = list(slices.Concat([]string{"-c", "index.threads=1", "ls-files", "-z", "-v", "--stage", "--others", "--directory", "--"}, limit)...)
		return err
	})
	tree, err := open()
	if err == nil { // all of it, of which git skips folders that are the same
		staged, err = list(slices.Concat([]string{"diff-index", "--cached"}, diff, []string{tree.Commit, "--"})...)
	}
	if failed := group.Wait(); tree == nil {
		return Checkout{}, err
	} else if err != nil || failed != nil {
		return Checkout{}, ctx.Err() // in a partial clone it may lack what it needs
	}
	return r.differing(within, slices.Concat(changed, staged), files), nil
}

// fewer are at most maxPaths paths that all are in: they themselves, or the folders that they
// are in, as deep as that goes.
func fewer(paths []string) []string {
	if slices.Contains(paths, ".") {
		return []string{"."}
	}
	depth := 0
	for _, p := range paths {
		depth = max(depth, strings.Count(p, "/")+1)
	}
	for ; len(paths) > maxPaths; depth-- {
		if depth == 0 {
			return []string{"."}
		}
		var cut []string
		for _, p := range paths {
			parts := strings.Split(p, "/")
			cut = append(cut, strings.Join(parts[:min(depth, len(parts))], "/"))
		}
		slices.Sort(cut)
		paths = slices.Compact(cut)
	}
	return paths
}

// differing is what git's lists say: paths that differ, each with a zero behind it, and lines
// of git ls-files.
func (r *Repo) differing(within []string, changed, files []byte) Checkout {
	c := Checkout{known: true, within: within, has: map[string]bool{}}
	add := func(name []byte) {
		at := strings.TrimSuffix(string(name), "/")
		if !c.has[at] {
			c.has[at] = true
			c.paths = append(c.paths, at)
		}
	}
	for name := range bytes.SplitSeq(changed, []byte{0}) {
		if len(name) > 0 {
			add(name)
		}
	}
	for line := range bytes.SplitSeq(files, []byte{0}) {
		if name, differs := r.listed(line); differs {
			add(name)
		} else if bytes.HasPrefix(line, []byte("S ")) {
			c.absent = append(c.absent, string(name))
		}
	}
	slices.Sort(c.paths)
	return c
}

// listed reads a line of git ls-files -v --stage --others: what git does not track, or does
// not look at, may differ, and so may submodules.
func (r *Repo) listed(line []byte) (name []byte, differs bool) {
	if len(line) < 2 {
		return nil, false
	}
	tag := line[0]
	if tag == '?' {
		return line[2:], true
	}
	info, name, ok := bytes.Cut(line[2:], []byte{'\t'})
	switch {
	case !ok:
		return line[2:], true
	case bytes.HasPrefix(info, []byte("160000 ")), tag >= 'a' && tag <= 'z':
		return name, true
	case tag == 'S': // left out of a sparse checkout, unless somebody has put it there
		_, err := os.Lstat(filepath.Join(r.Root, filepath.FromSlash(string(name))))
		return name, err == nil
	}
	return name, tag != 'H'
}

// withoutFilters are options without which git might run filters that the repository
// itself names, to compare files; ok is false where those cannot be kept from it.
func (a *asked) withoutFilters(ctx context.Context) (options []string, ok bool) {
	all, err := a.config(ctx)
	if err != nil {
		return nil, false
	}
	for _, s := range all {
		if !s.own || !strings.HasPrefix(s.key, "filter.") {
			continue
		}
		driver := s.key[:strings.LastIndex(s.key, ".")]
		if strings.Contains(driver, "=") {
			return nil, false
		}
		options = append(options, "-c", driver+".clean=", "-c", driver+".smudge=", "-c", driver+".process=", "-c", driver+".required=false")
	}
	return options, true
}
