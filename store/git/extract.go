package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"golang.org/x/text/unicode/norm"

	"fnb/internal/plain"
)

const (
	maxPathLen   = 1024
	maxNameLen   = 255 // of what common file systems take
	maxDepth     = 64
	maxTagsDeep  = 5
	lfsBeginning = "version https://git-lfs.github.com/spec/"
)

// An extract copies a template out of a repository's objects.
type extract struct {
	objects storer.EncodedObjectStorer
	source  string
	limits  Limits

	files, bytes int64
	folded       map[string]string // paths without case and Unicode form, to the path
	links        []string
}

func (x *extract) refuse(name, reason string) error {
	return &RefusedError{Source: x.source, Path: plain.Path(name), Reason: reason}
}

// write writes the files of a tree into the folder dir, which it makes, and
// nothing anywhere else.
func (x *extract) write(ctx context.Context, tree *object.Tree, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("using the cache: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("using the cache: %w", err)
	}
	x.folded = map[string]string{}
	err = x.folder(ctx, root, tree, ".", 0)
	if err == nil {
		err = x.follow(root)
	}
	return errors.Join(err, root.Close())
}

// follow refuses links that lead out of the template by way of others, and in circles.
// One to a file that is not there stays.
func (x *extract) follow(root *os.Root) error {
	for _, name := range x.links {
		switch _, err := root.Stat(filepath.FromSlash(name)); {
		case err == nil, errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, syscall.ELOOP):
			return x.refuse(name, "is a link in a circle, or by way of more others than the limit of 8")
		default:
			return x.refuse(name, "is a link that leaves the template by way of another, or leads nowhere")
		}
	}
	return nil
}

func (x *extract) folder(ctx context.Context, root *os.Root, tree *object.Tree, at string, depth int) error {
	if depth > maxDepth {
		return &LimitError{Source: x.source, What: "folders are nested deeper", Limit: maxDepth}
	}
	for _, e := range tree.Entries {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		name := path.Join(at, e.Name)
		if err := x.checkName(name, e.Name); err != nil {
			return err
		}
		if x.files++; x.files > x.limits.Files {
			return &LimitError{Source: x.source, What: "the template has more files", Limit: x.limits.Files}
		}
		if err := x.entry(ctx, root, e, name, depth); err != nil {
			return err
		}
	}
	return nil
}

func (x *extract) entry(ctx context.Context, root *os.Root, e object.TreeEntry, name string, depth int) error {
	switch e.Mode {
	case filemode.Dir:
		sub, err := object.GetTree(x.objects, e.Hash)
		if err != nil {
			return &UnreachableError{URL: x.source, Err: fmt.Errorf("reading %s: %w", plain.Path(name), plain.Error(err))}
		}
		if err := root.Mkdir(filepath.FromSlash(name), 0o700); err != nil {
			return fmt.Errorf("using the cache: %w", err)
		}
		return x.folder(ctx, root, sub, name, depth+1)
	case filemode.Regular, filemode.Deprecated:
		return x.file(root, e, name, 0o600)
	case filemode.Executable:
		return x.file(root, e, name, 0o700)
	case filemode.Symlink:
		return x.link(root, e, name)
	case filemode.Submodule:
		return x.refuse(name, "is a submodule, which templates cannot have: copy its files into the repository")
	case filemode.Empty:
	}
	return x.refuse(name, "is neither a file, a folder nor a link")
}

// checkName refuses names that are not plain on every system.
func (x *extract) checkName(name, base string) error {
	lower := strings.ToLower(base)
	switch {
	case !utf8.ValidString(base) || strings.ContainsFunc(base, plain.Acts):
		return x.refuse(name, "has characters that a file's name must not have")
	case base == "" || base == "." || base == ".." || strings.ContainsAny(base, `/\`):
		return x.refuse(name, "leaves its folder")
	case lower == ".git" || lower == "git~1" || strings.TrimRight(lower, ". ") == ".git":
		return x.refuse(name, "would be git's own folder")
	case len(base) > maxNameLen:
		return &LimitError{Source: x.source, What: "a name is longer", Limit: maxNameLen}
	case len(name) > maxPathLen:
		return &LimitError{Source: x.source, What: "a path is longer", Limit: maxPathLen}
	}
	fold := strings.ToLower(norm.NFC.String(name))
	if other, ok := x.folded[fold]; ok {
		// Two that look alike are told apart by what they are made of.
		return x.refuse(name, fmt.Sprintf("%+q is the same name as %+q on some systems", base, path.Base(other)))
	}
	x.folded[fold] = name
	return nil
}

// blob returns the content of a file, which is within the limits.
func (x *extract) blob(e object.TreeEntry, name string) ([]byte, error) {
	blob, err := object.GetBlob(x.objects, e.Hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		// The server was asked to leave out what is too large.
		return nil, &LimitError{Source: x.source, What: plain.Path(name) + " has more bytes", Limit: x.limits.File}
	}
	if err != nil {
		return nil, &UnreachableError{URL: x.source, Err: fmt.Errorf("reading %s: %w", plain.Path(name), plain.Error(err))}
	}
	if blob.Size > x.limits.File {
		return nil, &LimitError{Source: x.source, What: fmt.Sprintf("%s has %d bytes, more", plain.Path(name), blob.Size), Limit: x.limits.File}
	}
	if x.bytes += blob.Size; x.bytes > x.limits.Template {
		return nil, &LimitError{Source: x.source, What: "the files of the template have more bytes", Limit: x.limits.Template}
	}
	r, err := blob.Reader()
	if err != nil {
		return nil, &UnreachableError{URL: x.source, Err: fmt.Errorf("reading %s: %w", plain.Path(name), plain.Error(err))}
	}
	content, err := io.ReadAll(io.LimitReader(r, blob.Size+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, &UnreachableError{URL: x.source, Err: fmt.Errorf("reading %s: %w", plain.Path(name), plain.Error(err))}
	}
	return content, nil
}

func (x *extract) file(root *os.Root, e object.TreeEntry, name string, mode fs.FileMode) error {
	content, err := x.blob(e, name)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(content, []byte(lfsBeginning)) {
		return x.refuse(name, "is kept in Git LFS, which templates cannot use: put the file itself into the repository")
	}
	if err := root.WriteFile(filepath.FromSlash(name), content, mode); err != nil {
		return fmt.Errorf("using the cache: %w", err)
	}
	return nil
}

// link writes a symbolic link, which has to stay inside the template.
func (x *extract) link(root *os.Root, e object.TreeEntry, name string) error {
	content, err := x.blob(e, name)
	if err != nil {
		return err
	}
	target := string(content)
	to := path.Join(path.Dir(name), target)
	if target == "" || path.IsAbs(target) || strings.ContainsAny(target, "\\\x00\n") || to == ".." || strings.HasPrefix(to, "../") {
		return x.refuse(name, "is a link that leaves the template, to "+plain.Path(plain.Short(target)))
	}
	if err := root.Symlink(target, filepath.FromSlash(name)); err != nil {
		return fmt.Errorf("using the cache: %w", err)
	}
	x.links = append(x.links, name)
	return nil
}
