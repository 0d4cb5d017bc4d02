package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	objectcache "github.com/go-git/go-git/v5/plumbing/cache"
	format "github.com/go-git/go-git/v5/plumbing/format/config"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

const (
	// describeDepth bounds how far back a tag is looked for.
	describeDepth = 10_000
	// maxGitFile is more than the file .git of a linked worktree or a submodule has.
	maxGitFile = 64 << 10
)

// harmless are the extensions that change nothing for whoever only reads: where the
// checkout's own settings are, how folders of worktrees are named, what may not be removed,
// where missing objects are had.
func harmless() []string {
	return []string{"noop", "noop-v1", "preciousobjects", "partialclone", "worktreeconfig", "relativeworktrees"}
}

// Files opens the files of the repository in a folder, bare or the top of a checkout, for
// go-git. One whose extensions go-git does not know is an [*ExtensionError].
func Files(dir string) (billy.Filesystem, error) {
	at, err := gitDir(dir)
	if err != nil {
		return nil, err
	}
	common := at
	switch data, err := os.ReadFile(filepath.Join(at, "commondir")); {
	case err == nil:
		common = strings.TrimSpace(string(data))
		if !filepath.IsAbs(common) {
			common = filepath.Join(at, common)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	files := dotgit.NewRepositoryFilesystem(osfs.New(at), osfs.New(common))
	return files, supported(dir, files)
}

// gitDir is where the repository of a folder is.
func gitDir(dir string) (string, error) {
	at := filepath.Join(dir, ".git")
	info, err := os.Stat(at)
	switch {
	case errors.Is(err, fs.ErrNotExist) && isBare(dir):
		return dir, nil
	case errors.Is(err, fs.ErrNotExist):
		return "", ErrNone
	case err != nil || info.IsDir():
		return at, err
	}
	f, err := os.Open(at)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxGitFile))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	to, ok := strings.CutPrefix(string(data), "gitdir:")
	if to = strings.TrimSpace(to); !ok || to == "" {
		return "", fmt.Errorf("the git repository of %s: %s names no folder", dir, at)
	}
	if !filepath.IsAbs(to) {
		to = filepath.Join(dir, to)
	}
	return to, nil
}

// supported looks at the extensions of a repository.
func supported(dir string, files billy.Filesystem) error {
	cfg, err := filesystem.NewStorage(files, objectcache.NewObjectLRU(0)).Config()
	if err != nil {
		return fmt.Errorf("the git repository of %s: its configuration: %w", dir, err)
	}
	version := cfg.Raw.Section("core").Option("repositoryformatversion")
	if version != "" && version != "0" && version != "1" {
		return &ExtensionError{Dir: dir, Name: "version", Value: version}
	}
	for _, o := range cfg.Raw.Section("extensions").Options {
		switch name, value := strings.ToLower(o.Key), strings.ToLower(o.Value); {
		case slices.Contains(harmless(), name), name == "refstorage" && value == "files", name == "objectformat" && value == "sha1":
		case version != "1" && name != "objectformat" && name != "refstorage": // git overlooks it as well
		default:
			return &ExtensionError{Dir: dir, Name: o.Key, Value: o.Value}
		}
	}
	return nil
}

// lenient hides those extensions from go-git that [supported] has looked at.
type lenient struct{ *filesystem.Storage }

// Config implements [config.ConfigStorer].
func (l lenient) Config() (*config.Config, error) {
	cfg, err := l.Storage.Config()
	if err == nil {
		cfg.Raw.RemoveSection("extensions")
	}
	return cfg, err
}

// A readBy is a repository that go-git reads.
type readBy struct {
	repo  *Repo
	store *filesystem.Storage
	git   *git.Repository
}

// read opens a repository without git.
func (r *Repo) read(opts Options) error {
	top := r.dir
	for !opts.Itself && !exists(filepath.Join(top, ".git")) && !isBare(top) {
		if top == filepath.Dir(top) {
			return ErrNone
		}
		top = filepath.Dir(top)
	}
	files, err := Files(top)
	if err != nil {
		return err
	}
	s := &readBy{repo: r, store: filesystem.NewStorageWithOptions(files, objectcache.NewObjectLRUDefault(),
		filesystem.Options{KeepDescriptors: true, AlternatesFS: osfs.New("/")})}
	if s.git, err = git.Open(lenient{s.store}, nil); err != nil {
		return fmt.Errorf("the git repository of %s: opening it: %w", r.dir, err)
	}
	r.source = s
	_, err = files.Stat("shallow")
	r.Shallow = err == nil
	if !exists(filepath.Join(top, ".git")) {
		r.Prefix = "."
		return nil
	}
	return r.place(top)
}

func (s *readBy) head(context.Context) (Head, error) {
	ref, err := s.git.Head()
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return Head{}, &EmptyError{Dir: s.repo.dir}
	}
	if err != nil {
		return Head{}, fmt.Errorf("the git repository of %s: reading HEAD: %w", s.repo.dir, err)
	}
	h := Head{Commit: ref.Hash().String()}
	if ref.Name().IsBranch() {
		h.Branch = ref.Name().Short()
	}
	return h, nil
}

func (s *readBy) remote(_ context.Context, name string) (string, error) {
	cfg, err := s.git.Config()
	if err != nil {
		return "", fmt.Errorf("the git repository of %s: its configuration: %w", s.repo.dir, err)
	}
	return cfg.Raw.Section("remote").Subsection(name).Option("url"), nil
}

func (s *readBy) objects(context.Context) (objects, error) { return s, nil }

func (s *readBy) close() error { return s.store.Close() }

func (s *readBy) get(name string, limit int64) (content, error) {
	missing := &MissingError{Dir: s.repo.dir, What: name, Shallow: s.repo.Shallow, Partial: s.partial()}
	id := plumbing.NewHash(name)
	if !isID(name) {
		found, err := s.git.ResolveRevision(plumbing.Revision(strings.TrimSuffix(name, "^{commit}")))
		if err != nil {
			missing.Partial = false
			return content{}, missing
		}
		id = *found
	}
	o, err := s.store.EncodedObject(plumbing.AnyObject, id)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return content{}, missing
	}
	if err != nil {
		return content{}, fmt.Errorf("the git repository of %s: reading object %s: %w", s.repo.dir, id, err)
	}
	if o.Size() > limit {
		return content{}, ErrTooLarge
	}
	r, err := o.Reader()
	if err != nil {
		return content{}, fmt.Errorf("the git repository of %s: reading object %s: %w", s.repo.dir, id, err)
	}
	data, err := io.ReadAll(io.LimitReader(r, limit))
	return content{id: id.String(), kind: o.Type().String(), data: data}, errors.Join(err, r.Close())
}

func (s *readBy) partial() bool {
	cfg, err := s.store.Config()
	if err != nil {
		return false
	}
	return cfg.Raw.Section("extensions").Option("partialclone") != "" || slices.ContainsFunc(cfg.Raw.Section("remote").Subsections, func(r *format.Subsection) bool {
		return r.Option("promisor") == "true"
	})
}

// describe names HEAD by the nearest tag before it: v1.2, or v1.2-3-gabcdef0 three
// commits later, or the short commit without a tag.
func (s *readBy) describe(ctx context.Context) (string, error) {
	head, err := s.head(ctx)
	if err != nil {
		return "", err
	}
	tags, err := s.tags()
	if err != nil {
		return "", fmt.Errorf("the git repository of %s: reading its tags: %w", s.repo.dir, err)
	}
	short := head.Commit[:7]
	if len(tags) == 0 {
		return short, nil
	}
	commits, err := s.git.Log(&git.LogOptions{From: plumbing.NewHash(head.Commit)})
	if err != nil {
		return "", fmt.Errorf("the git repository of %s: reading its history: %w", s.repo.dir, err)
	}
	name, n := short, 0
	err = commits.ForEach(func(c *object.Commit) error {
		if tag, ok := tags[c.Hash]; ok {
			if name = tag; n > 0 {
				name = fmt.Sprintf("%s-%d-g%s", tag, n, short)
			}
			return storer.ErrStop
		}
		if n++; n > describeDepth {
			return storer.ErrStop
		}
		return ctx.Err()
	})
	// A shallow clone ends where its history was cut; that is no tag found.
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return short, nil
	}
	return name, err
}

// tags are the names of tags by the commit that each stands for.
func (s *readBy) tags() (map[plumbing.Hash]string, error) {
	tags := map[plumbing.Hash]string{}
	refs, err := s.git.Tags()
	if err != nil {
		return nil, err
	}
	return tags, refs.ForEach(func(ref *plumbing.Reference) error {
		h := ref.Hash()
		if t, err := s.git.TagObject(h); err == nil {
			h = t.Target
		}
		if old, ok := tags[h]; !ok || ref.Name().Short() > old {
			tags[h] = ref.Name().Short()
		}
		return nil
	})
}
