package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fnb/internal/plain"
	"fnb/origin"
	"fnb/schema"
)

// maxETag bounds what the cache remembers of a file on a server.
const maxETag = 1 << 10

// isIndex reports whether the store is an index that [Generate] has made: the address
// of its folder, which ends in a slash.
func (c Configured) isIndex() bool { return strings.HasSuffix(c.URL, "/") }

// other is the store that the same address could mean as well: an index instead of a
// git repository, or the other way round.
func (c Configured) other() (Configured, bool) {
	if !isHTTP(c.URL) || c.isList() || strings.HasSuffix(c.URL, ".git") {
		return c, false
	}
	if !c.isIndex() {
		c.URL += "/"
		return c, true
	}
	c.URL = strings.TrimRight(c.URL, "/")
	_, err := schema.ParseTemplateRef(c.URL)
	return c, err == nil
}

func isHTTP(address string) bool {
	return strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://")
}

// indexURL is the address of an index as it is kept; not ok for what is none.
func indexURL(text string) (address string, ok bool, err error) {
	if isHTTP(text) {
		if !strings.HasSuffix(text, "/") {
			return "", false, nil
		}
		address = strings.TrimRight(text, "/") + "/"
		// All that is refused in a repository's URL is in this one as well.
		_, err := schema.ParseTemplateRef(address + snapshotFile)
		return address, true, err
	}
	dir, err := filepath.Abs(text)
	if err != nil {
		return "", false, err
	}
	if _, err := os.Stat(filepath.Join(dir, storeFileName)); err == nil {
		return "", false, nil
	}
	_, err = os.Stat(filepath.Join(dir, snapshotFile))
	return strings.TrimRight(dir, "/") + "/", err == nil, nil
}

// refreshEither is refresh for a store that is added, of which it is found out whether
// it is a repository or an index.
func (s *Store) refreshEither(ctx context.Context, c Configured) (Configured, *index, []string, error) {
	x, notes, err := s.refresh(ctx, c)
	o, ok := c.other()
	_, silent := errors.AsType[*stalledError](err)
	if err == nil || !ok || silent || ctx.Err() != nil {
		return c, x, notes, err
	}
	ox, onotes, oerr := s.refresh(ctx, o)
	if oerr == nil || o.isIndex() && isNoStore(err) && !isNoStore(oerr) {
		return o, ox, onotes, oerr
	}
	return c, nil, notes, err
}

// isNoStore reports whether there is nothing where a store should be.
func isNoStore(err error) bool {
	_, ok := errors.AsType[*NoStoreError](err)
	return ok
}

// refreshIndex asks for the one file of an index that has all of it, unless it is
// still the one that old is of.
func (s *Store) refreshIndex(ctx context.Context, c Configured, old *index) (*index, error) {
	st := indexState{URL: c.URL, Checked: time.Now().UTC()}
	if old != nil {
		st.ETag = old.state.ETag
	}
	address := c.URL + snapshotFile
	f, err := s.openSnapshot(ctx, address, &st)
	if err != nil {
		return nil, err
	}
	if f != nil {
		defer f.close()
		if st.Commit, err = f.digest(address, s.opts.Limits.Download); err != nil {
			return nil, err
		}
	}
	if f == nil || old != nil && old.state.Commit == st.Commit {
		old.state.Checked, old.state.ETag, old.state.Reach = st.Checked, st.ETag, st.Reach
		return old, s.cache.saveIndexState(old.state)
	}
	x, err := s.cache.buildIndex(st, old, readSnapshot(ctx, address, f, s.opts.Limits.Unpacked))
	if errors.Is(err, errNoSnapshot) && old == nil {
		err = &NoStoreError{Name: c.URL, Err: errNoSnapshot}
	}
	return x, err
}

// A snapshotCopy is a snapshot on this machine.
type snapshotCopy struct {
	*os.File
	dir string // to remove; "" for none
}

func (f *snapshotCopy) close() {
	_ = f.Close() // what was written to it is checked when it is read
	if f.dir != "" {
		_ = os.RemoveAll(f.dir) // nothing depends on what is left of it
	}
}

// digest is the SHA-256 of the file, which may have so many bytes.
func (f *snapshotCopy) digest(address string, limit int64) (string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("using the cache: %w", err)
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(f, limit+1))
	if err != nil {
		return "", fmt.Errorf("using the cache: %w", err)
	}
	if n > limit {
		return "", &LimitError{Source: address, What: "the index has more bytes", Limit: limit}
	}
	_, err = f.Seek(0, io.SeekStart)
	return hex.EncodeToString(sum.Sum(nil)), err
}

// openSnapshot gets the snapshot at an address, and notes its ETag and how far away it
// is; nil where it is still the one with the ETag.
func (s *Store) openSnapshot(ctx context.Context, address string, st *indexState) (_ *snapshotCopy, err error) {
	if filepath.IsAbs(address) {
		if info, err := os.Lstat(address); err != nil || !info.Mode().IsRegular() {
			return nil, &UnreachableError{URL: address, Err: errors.New("it is not a plain file")}
		}
		f, err := os.Open(address)
		if err != nil {
			return nil, &UnreachableError{URL: address, Err: err}
		}
		return &snapshotCopy{File: f}, nil
	}
	resp, err := s.get(ctx, address, st.ETag)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read from
	st.Reach = resp.reach
	if resp.StatusCode == http.StatusNotModified {
		return nil, nil //nolint:nilnil // as documented
	}
	if st.ETag = resp.Header.Get("ETag"); len(st.ETag) > maxETag {
		st.ETag = ""
	}
	f := &snapshotCopy{}
	if f.dir, err = s.cache.unfinished(); err != nil {
		return nil, err
	}
	if f.File, err = os.Create(filepath.Join(f.dir, snapshotFile)); err != nil {
		return nil, errors.Join(fmt.Errorf("using the cache: %w", err), os.RemoveAll(f.dir))
	}
	if _, err := io.Copy(f.File, io.LimitReader(resp.Body, s.opts.Limits.Download+1)); err != nil {
		f.close()
		if _, ours := errors.AsType[*os.PathError](err); ours {
			return nil, fmt.Errorf("using the cache: %w", err)
		}
		return nil, s.explainGet(ctx, address, err)
	}
	return f, nil
}

// explainGet makes a typed error of one while a file was fetched.
func (s *Store) explainGet(ctx context.Context, address string, err error) error {
	r := &remote{store: s, url: address}
	return r.explain(ctx, &url.Error{Op: "Get", URL: address, Err: err}, false)
}

// get asks a server for a file, and with an ETag only for another one than has that:
// without credentials first, and then with each that is found for the host. The answer
// is 200 or, with an ETag, 304.
func (s *Store) get(ctx context.Context, address, etag string) (answered, error) {
	guard := newGuard(s.opts)
	client := &http.Client{Transport: guard, CheckRedirect: checkRedirect}
	ask := func(secret *origin.Secret) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, &UnreachableError{URL: address, Err: plain.Error(err)}
		}
		if etag != "" {
			req.Header.Set("If-None-Match", etag)
		}
		if strings.HasSuffix(address, ".gz") {
			req.Header.Set("Accept-Encoding", "identity") // it is packed once
		}
		guard.inner.Secret = secret
		resp, err := client.Do(req)
		if err != nil {
			return nil, (&remote{store: s, url: address}).explain(ctx, err, false)
		}
		return resp, nil
	}
	resp, sent, err := s.withCredentials(ctx, address, ask)
	if err != nil {
		return answered{}, err
	}
	switch code := resp.StatusCode; {
	case code == http.StatusOK, code == http.StatusNotModified && etag != "":
		return answered{resp, guard.met()}, nil
	case code == http.StatusNotFound, code == http.StatusGone:
		err = &NotFoundError{Name: address, Err: errors.New("the server has no such file")}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		err = &AuthError{URL: address, Host: origin.Of(resp.Request.URL).HostPort(), Sent: sent}
	default:
		err = &UnreachableError{URL: address, Err: fmt.Errorf("the server answered %d %s", code, http.StatusText(code))}
	}
	_ = resp.Body.Close() // it is of no interest
	return answered{}, err
}

// withCredentials asks, and while the answer is that credentials are wanted, asks with
// each that is found. Sent says that there were some.
func (s *Store) withCredentials(ctx context.Context, address string, ask func(*origin.Secret) (*http.Response, error)) (_ *http.Response, sent bool, err error) {
	resp, err := ask(nil)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, false, err
	}
	finder := s.credentials()
	err = finder.secrets(ctx, address, address, func(secret *origin.Secret) (more bool, _ error) {
		_ = resp.Body.Close()   // it is of no interest
		resp, err = ask(secret) //nolint:bodyclose // it is the caller's, or closed before the next
		return err == nil && resp.StatusCode == http.StatusUnauthorized, err
	})
	if err != nil && resp != nil {
		_ = resp.Body.Close() // as above
	}
	return resp, finder.sent, err
}
