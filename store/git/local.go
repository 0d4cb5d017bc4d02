package git

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	objectcache "github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"fnb/gitrepo"
	"fnb/internal/plain"
)

const (
	// objectCache is how many bytes of objects are kept in memory. Each takes much more
	// than its bytes, and a store has very many.
	objectCache = 4 << 20
	// lockSuffix is what git adds to the name of a file while it replaces it.
	lockSuffix = ".lock"
	// lockTries is how often a folder is read in which such files come and go.
	lockTries = 1000
)

// openHere opens the repository of a file URL, and what it holds. Nothing in it is run.
func openHere(at string) (*filesystem.Storage, error) {
	u, err := url.Parse(at)
	var files billy.Filesystem
	if err == nil {
		files, err = gitrepo.Files(filepath.FromSlash(u.Path))
	}
	if err != nil && strings.Contains(err.Error(), "objectformat") {
		return nil, &FormatError{URL: at, Format: "sha256"} // go-git has no type for it
	}
	if err != nil {
		return nil, &UnreachableError{URL: at, Err: plain.Error(err)}
	}
	return leanStorage(files), nil
}

// leanStorage reads a repository's objects with little memory, and without opening its
// files for each, until it is closed. An object beyond what the cache keeps is not in
// memory before it is read, so that its size can be looked at first.
func leanStorage(dir billy.Filesystem) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(withoutLocks{dir}, objectcache.NewObjectLRU(objectCache),
		filesystem.Options{KeepDescriptors: true, LargeObjectThreshold: objectCache, AlternatesFS: osfs.New("/")})
}

// withoutLocks hides the files that git makes while it replaces others: go-git would
// take them for references.
type withoutLocks struct{ billy.Filesystem }

// ReadDir implements [billy.Dir].
func (w withoutLocks) ReadDir(name string) ([]os.FileInfo, error) {
	all, err := w.Filesystem.ReadDir(name)
	// One that was gone before it was looked at makes the whole folder seem gone.
	for range lockTries {
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		if _, serr := w.Stat(name); serr != nil {
			break
		}
		all, err = w.Filesystem.ReadDir(name)
	}
	return slices.DeleteFunc(all, func(f os.FileInfo) bool { return strings.HasSuffix(f.Name(), lockSuffix) }), err
}

// advertise returns the references of a repository in a folder as a server would.
func advertise(repo *filesystem.Storage) (*packp.AdvRefs, error) {
	refs, err := repo.IterReferences()
	if err != nil {
		return nil, err
	}
	adv, head := packp.NewAdvRefs(), ""
	err = refs.ForEach(func(ref *plumbing.Reference) error {
		name, h := ref.Name().String(), ref.Hash()
		switch {
		case ref.Type() == plumbing.SymbolicReference:
			if ref.Name() == plumbing.HEAD {
				head = ref.Target().String()
			}
		case ref.Name() == plumbing.HEAD:
			adv.Head = &h
		case strings.HasPrefix(name, "refs/"):
			adv.References[name] = h
			if tag, err := object.GetTag(repo, h); err == nil {
				adv.Peeled[name] = tag.Target
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// The branch is not read again for HEAD: it may have moved meanwhile.
	if h, ok := adv.References[head]; ok {
		adv.Head = &h
		err = adv.Capabilities.Add(capability.SymRef, "HEAD:"+head)
	}
	return adv, err
}

// sendHere is send for a repository in a folder of this machine.
func (p *push) sendHere() error {
	held, err := openHere(p.url)
	if err != nil {
		return err
	}
	defer func() { _ = held.Close() }() // what is written to it is closed by then
	u, err := url.Parse(p.url)
	if err != nil {
		return err
	}
	if _, err = os.Lstat(filepath.Join(filepath.FromSlash(u.Path), ".git")); err == nil {
		has, err := advertise(held)
		if err != nil {
			return &UnreachableError{URL: p.url, Err: plain.Error(err)}
		}
		if p.branch == ownBranch(has) {
			return fmt.Errorf("%s is a working copy, whose branch nobody may push to: add its folder as the store", p.url)
		}
	}
	for _, o := range p.commit.objects.Objects {
		if _, err := held.SetEncodedObject(o); err != nil {
			return &UnreachableError{URL: p.url, Err: plain.Error(err)}
		}
	}
	return p.move(held)
}

// move makes the branch of a repository in a folder point to the new commit, as git
// does it: whoever reads it meanwhile finds the old commit or the new one, and of
// several writers, git among them, one wins.
func (p *push) move(repo *filesystem.Storage) (err error) {
	name := plumbing.ReferenceName(p.branch)
	if err := name.Validate(); err != nil {
		return fmt.Errorf("%s: %s: %w", p.url, plain.Path(p.branch), err)
	}
	root, err := os.OpenRoot(repo.Filesystem().Root())
	if err != nil {
		return &UnreachableError{URL: p.url, Err: err}
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	file := filepath.FromSlash(p.branch)
	if err := root.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return &UnreachableError{URL: p.url, Err: err}
	}
	lock, err := root.OpenFile(file+lockSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w, or somebody has left %s behind", ErrRejected, path.Join(filepath.ToSlash(root.Name()), p.branch+lockSuffix))
	}
	if err != nil {
		return &UnreachableError{URL: p.url, Err: err}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, root.Remove(file+lockSuffix))
		}
	}()
	now := plumbing.ZeroHash
	switch ref, rerr := repo.Reference(name); {
	case rerr == nil:
		now = ref.Hash()
	case !errors.Is(rerr, plumbing.ErrReferenceNotFound):
		return errors.Join(&UnreachableError{URL: p.url, Err: plain.Error(rerr)}, lock.Close())
	}
	if now != p.old {
		return errors.Join(ErrRejected, lock.Close())
	}
	_, err = lock.WriteString(p.commit.Hash() + "\n")
	if err = errors.Join(err, lock.Sync(), lock.Close()); err != nil {
		return &UnreachableError{URL: p.url, Err: err}
	}
	return root.Rename(file+lockSuffix, file)
}
