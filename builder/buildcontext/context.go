package buildcontext

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
)

// A build context up to these limits travels inside the LLB: content-addressed,
// without a file transfer, and never stale. A larger one goes through the
// session. gRPC's default message limit is 16 MiB.
const (
	InlineBytes = 2 << 20
	InlineFiles = 256
)

// Epoch is the Unix time of everything in an image that has no better one:
// 1980-01-01T00:00:01Z, the first that a zip archive can hold.
const Epoch = 315532801

// contextName is the name of the local source of a large build context.
const contextName = "context"

// Time is the time of every file of a build context: the first second
// that a zip archive can hold, since wheels and jars are made of these files.
// It is no later than the epoch of a solve, so that the exporter leaves it and
// what a step wrote down of it, such as Python in its .pyc files, stays true.
func Time() time.Time { return time.Unix(Epoch, 0).UTC() }

// An entry is one file, folder or link of a build context.
type entry struct {
	path string // with slashes, without a leading one
	mode fs.FileMode
	size int64
	link string
}

// A Context is a build context that has been walked once.
type Context struct {
	fsys    fs.FS
	entries []entry // in fsutil's order
	bytes   int64
	files   int
}

// Read walks a build context and notes what is there; it reads no file.
func Read(ctx context.Context, fsys fs.FS) (*Context, error) {
	bc := &Context{fsys: fsys}
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if p == "." {
			return ctx.Err()
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := entry{path: p, mode: info.Mode()}
		switch {
		case info.Mode().IsRegular():
			e.size = info.Size()
			bc.bytes += e.size
			bc.files++
		case info.IsDir():
		case info.Mode()&fs.ModeSymlink != 0:
			if e.link, err = fs.ReadLink(fsys, p); err != nil {
				return err
			}
			bc.files++
		default:
			return &fs.PathError{Op: "read", Path: p, Err: errors.New("neither a file, a folder nor a link")}
		}
		bc.entries = append(bc.entries, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the build context: %w", err)
	}
	slices.SortFunc(bc.entries, func(a, b entry) int { return comparePaths(a.path, b.path) })
	return bc, nil
}

// comparePaths orders paths as fsutil transfers them: a folder's contents come
// right behind the folder.
func comparePaths(a, b string) int {
	return strings.Compare(strings.ReplaceAll(a, "/", "\x00"), strings.ReplaceAll(b, "/", "\x00"))
}

// Give gives a solve the build context under a key, by which a builder knows an earlier one
// of the same function. Seen says that a step may see the times of its files, and sums are
// those that are known of them, in hex, by path. Sent is how many bytes went to the builder.
func (bc *Context) Give(opt *client.SolveOpt, key string, sums map[string]string, seen bool) (st llb.State, sent func() int64, err error) {
	if bc.Small() {
		st, err = bc.inline(seen)
		return st, func() int64 { return bc.bytes }, err
	}
	st, served, err := bc.local(key, sums)
	if err != nil {
		return st, nil, err
	}
	opt.LocalMounts[contextName] = served
	if seen {
		st = timed(st)
	}
	return st, served.sent.Load, nil
}

// Small reports whether the build context can travel inside the LLB.
func (bc *Context) Small() bool {
	return bc.bytes <= InlineBytes && bc.files <= InlineFiles
}

// inline returns the build context as one file operation. A folder is as old as
// what was last put into it: where timed, the times of folders are set at the end,
// by a copy of the same folders without anything in them, which stay in the
// builder's cache until a folder is added or removed.
func (bc *Context) inline(timed bool) (llb.State, error) {
	created := llb.WithCreatedTime(Time())
	var act, folders *llb.FileAction
	for _, e := range bc.entries {
		p := "/" + e.path
		switch {
		case e.mode.IsDir():
			act = mkdir(act, p, e.mode.Perm(), created)
			folders = mkdir(folders, p, e.mode.Perm(), created)
		case e.mode&fs.ModeSymlink != 0:
			act = symlink(act, e.link, p, created)
		default:
			data, err := fs.ReadFile(bc.fsys, e.path)
			if err != nil {
				return llb.State{}, fmt.Errorf("reading the build context: %w", err)
			}
			act = mkfile(act, p, e.mode.Perm(), data, created)
		}
	}
	if act == nil {
		act = llb.Mkdir("/", 0o755, created)
	}
	if timed && folders != nil {
		empty := llb.Scratch().File(folders, llb.WithCustomName("[fnb] folders of the build context"))
		act = act.Copy(empty, "/", "/", &llb.CopyInfo{CopyDirContentsOnly: true}, created)
	}
	return llb.Scratch().File(act, llb.WithCustomName("[fnb] build context")), nil
}

// Dockerfile holds nothing but the Dockerfile: the frontend reads it before
// it knows of the build context, and all functions of a template have the same.
func Dockerfile(name string, data []byte) llb.State {
	p, created := path.Join("/", name), llb.WithCreatedTime(Time())
	act := llb.Mkdir(path.Dir(p), 0o755, llb.WithParents(true), created).Mkfile(p, 0o644, data, created)
	return llb.Scratch().File(act, llb.WithCustomName("[fnb] Dockerfile"))
}

// timed gives everything in a state the one time of a build context: in the
// session a file has the time that its content makes.
func timed(st llb.State) llb.State {
	return llb.Scratch().File(
		llb.Copy(st, "/", "/", &llb.CopyInfo{CopyDirContentsOnly: true}, llb.WithCreatedTime(Time())),
		llb.WithCustomName("[fnb] build context"))
}

func mkdir(act *llb.FileAction, p string, mode fs.FileMode, o llb.MkdirOption) *llb.FileAction {
	if act == nil {
		return llb.Mkdir(p, mode, o)
	}
	return act.Mkdir(p, mode, o)
}

func mkfile(act *llb.FileAction, p string, mode fs.FileMode, data []byte, o llb.MkfileOption) *llb.FileAction {
	if act == nil {
		return llb.Mkfile(p, mode, data, o)
	}
	return act.Mkfile(p, mode, data, o)
}

func symlink(act *llb.FileAction, target, p string, o llb.SymlinkOption) *llb.FileAction {
	if act == nil {
		return llb.Symlink(target, p, o)
	}
	return act.Symlink(target, p, o)
}

// local returns the build context as a local source, and what serves it.
//
// BuildKit compares size, mode and time with what an earlier transfer under the
// same key left, and takes an equal file as unchanged (moby/buildkit#2592).
// Each file's time is therefore derived from its content: a changed file always
// differs, and unchanged ones are not sent again.
func (bc *Context) local(key string, sums map[string]string) (llb.State, *contextFS, error) {
	served := &contextFS{fsys: bc.fsys, stats: make([]*types.Stat, len(bc.entries)), sums: map[string][sha256.Size]byte{}}
	for i, e := range bc.entries {
		st := &types.Stat{Path: filepath.FromSlash(e.path), Mode: uint32(e.mode), Linkname: e.link, ModTime: Time().UnixNano()}
		if e.mode.IsRegular() {
			sum, err := knownSum(bc.fsys, e.path, sums)
			if err != nil {
				return llb.State{}, nil, fmt.Errorf("reading the build context: %w", err)
			}
			st.Size, st.ModTime = e.size, contentTime(sum)
			served.sums[e.path] = sum
		}
		served.stats[i] = st
	}
	st := llb.Local(contextName, llb.SharedKeyHint(key), llb.WithCustomName("[fnb] receive the build context"))
	return st, served, nil
}

// knownSum returns the sum of a file, which is read where it is not known.
func knownSum(fsys fs.FS, name string, sums map[string]string) (sum [sha256.Size]byte, err error) {
	if text := sums[name]; len(text) == hex.EncodedLen(len(sum)) {
		_, err := hex.Decode(sum[:], []byte(text))
		return sum, err
	}
	return contentSum(fsys, name)
}

func contentSum(fsys fs.FS, name string) (sum [sha256.Size]byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// contentTime returns a time that depends on a file's content alone, in
// nanoseconds since 1970. It is after Time, so that the exporter sets it to
// that, and before 2038: a file system that cannot hold it would have every file
// sent every time.
func contentTime(sum [sha256.Size]byte) int64 {
	from, to := uint64(Time().UnixNano()), uint64(1<<31*1e9)
	return int64(from + 1 + binary.BigEndian.Uint64(sum[:])%(to-from-1))
}

// A contextFS serves a build context over the session.
type contextFS struct {
	fsys  fs.FS
	stats []*types.Stat
	sums  map[string][sha256.Size]byte // of regular files, by path with slashes
	sent  atomic.Int64                 // bytes that were read of them
}

// Walk implements [fsutil.FS].
func (c *contextFS) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	target = strings.Trim(path.Clean("/"+filepath.ToSlash(target)), "/")
	skip := ""
	for _, st := range c.stats {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := filepath.ToSlash(st.Path)
		if skip != "" && strings.HasPrefix(p, skip) {
			continue
		}
		if target != "" && p != target && !strings.HasPrefix(p, target+"/") {
			continue
		}
		err := fn(st.Path, &fsutil.DirEntryInfo{Stat: st.Clone()}, nil)
		switch {
		case errors.Is(err, fs.SkipAll):
			return nil
		case errors.Is(err, fs.SkipDir):
			dir := p
			if !fs.FileMode(st.Mode).IsDir() {
				if dir = path.Dir(p); dir == "." {
					return nil // what is skipped is everything
				}
			}
			skip = dir + "/"
		case err != nil:
			return err
		}
	}
	return nil
}

// Open implements [fsutil.FS]. A file that is no longer what its time says is an
// error where its content ends: BuildKit would take it for the one that was
// promised, now and in later transfers.
func (c *contextFS) Open(name string) (io.ReadCloser, error) {
	p := strings.TrimPrefix(path.Clean("/"+filepath.ToSlash(name)), "/")
	sum, ok := c.sums[p]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f, err := c.fsys.Open(p)
	if err != nil {
		return nil, err
	}
	return &summedFile{f: f, name: p, want: sum, h: sha256.New(), sent: &c.sent}, nil
}

// A summedFile is a file whose content is known.
type summedFile struct {
	f    fs.File
	name string
	want [sha256.Size]byte
	h    hash.Hash
	sent *atomic.Int64
}

// Read implements [io.Reader].
func (s *summedFile) Read(p []byte) (int, error) {
	n, err := s.f.Read(p)
	s.h.Write(p[:n])
	s.sent.Add(int64(n))
	if errors.Is(err, io.EOF) && [sha256.Size]byte(s.h.Sum(nil)) != s.want {
		return n, &fs.PathError{Op: "read", Path: s.name, Err: errChanged}
	}
	return n, err
}

// Close implements [io.Closer].
func (s *summedFile) Close() error { return s.f.Close() }

var errChanged = errors.New("it was changed while the build context was sent")
