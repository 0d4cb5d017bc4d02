package osv

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fnb/internal/disk"
	"fnb/internal/stall"
	"fnb/origin"
)

// Published is where OSV publishes its archives.
const Published = "https://osv-vulnerabilities.storage.googleapis.com"

// stalled is how long nothing of an archive may arrive.
const stalled = 60 * time.Second

// A Fetched says what became of an archive.
type Fetched struct {
	Ecosystem string `json:"ecosystem"`
	File      string `json:"file"`
	Size      int64  `json:"size"`
	Records   int    `json:"records"`
	Unchanged bool   `json:"unchanged"` // the source has no newer one
}

// Stored are the ecosystems that the folder of a database has an archive of.
func Stored(dir string) []string {
	var pkgs []Package
	for _, layout := range []string{"osv-scalibr", "osv-scanner", "."} {
		all, _ := os.ReadDir(filepath.Join(dir, layout)) // one that is not there has none
		for _, e := range all {
			if info, err := os.Stat(filepath.Join(dir, layout, e.Name(), "all.zip")); err == nil && info.Mode().IsRegular() {
				pkgs = append(pkgs, Package{Ecosystem: e.Name()})
			}
		}
	}
	return ecosystems(pkgs)
}

// Ecosystems are those of packages, without the releases of distributions, each once, sorted.
func Ecosystems(pkgs []Package) []string { return ecosystems(pkgs) }

// Update fetches the archive of an ecosystem from a source, [Published] or a mirror of it, into
// the folder dir, and its index into cache. It takes the place of the one that is there only
// when it is whole, and nothing is fetched that the source has not changed since.
func Update(ctx context.Context, source, dir, cache, ecosystem string) (Fetched, error) {
	if !isEcosystem(ecosystem) {
		return Fetched{}, fmt.Errorf("fetching advisories: %q is not an ecosystem", ecosystem)
	}
	u, err := origin.Check(strings.TrimSuffix(source, "/") + "/" + url.PathEscape(ecosystem) + "/all.zip")
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return Fetched{}, &FetchError{source, errors.Join(err, errors.New("it is not the URL of a server"))}
	}
	out := Fetched{Ecosystem: ecosystem, File: layouts(dir, ecosystem)[0]}
	had := ""
	if file, err := find(dir, ecosystem); err == nil && file != "" {
		had, out.File = file, file
	}
	if err := os.MkdirAll(filepath.Dir(out.File), 0o755); err != nil { //nolint:gosec // others may read what is public
		return out, err
	}
	temp, err := os.CreateTemp(filepath.Dir(out.File), disk.Temporary+"*.zip")
	if err != nil {
		return out, err
	}
	defer func() { _ = os.Remove(temp.Name()) }() // it is in its place, or not wanted
	defer func() { _ = temp.Close() }()           // what was written was flushed before
	changed, err := fetch(ctx, u, had, temp)
	if err != nil {
		return out, &FetchError{u.Redacted(), err}
	}
	if changed.IsZero() {
		out.Unchanged = true
		return out, nil
	}
	x, err := makeIndex(ctx, temp, ecosystem)
	if b, ok := errors.AsType[*BrokenError](err); ok {
		b.File = u.Redacted()
		return out, b
	}
	if err != nil {
		return out, err
	}
	if x.Digest, err = digest(temp); err != nil {
		return out, err
	}
	if err := errors.Join(temp.Chmod(0o644), temp.Sync(), os.Chtimes(temp.Name(), changed, changed)); err != nil {
		return out, err
	}
	info, err := temp.Stat()
	if err == nil {
		err = os.Rename(temp.Name(), out.File)
	}
	if err != nil {
		return out, err
	}
	out.Records, out.Size = x.Records, info.Size()
	x.Size, x.Time = info.Size(), info.ModTime().UnixNano()
	file, err := indexFile(out.File, ecosystem, cache)
	if err != nil {
		return out, err
	}
	return out, writeIndex(file, x)
}

// fetch writes what is at a URL, and returns when that was changed last; the zero time where
// it was not since the file had.
func fetch(ctx context.Context, u *url.URL, had string, into io.Writer) (changed time.Time, err error) {
	ctx, watch := stall.New(ctx, stalled)
	defer watch.End()
	watch.Moved()
	defer func() {
		if err != nil && watch.Stalled() {
			err = fmt.Errorf("nothing arrived for %s", stalled)
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return changed, err
	}
	if info, err := os.Stat(had); had != "" && err == nil {
		req.Header.Set("If-Modified-Since", info.ModTime().UTC().Format(http.TimeFormat))
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableCompression: true, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 20 * time.Second}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: origin.NewGuard(transport, net.Dialer{Timeout: 20 * time.Second})}
	resp, err := client.Do(req)
	if ue, ok := errors.AsType[*url.Error](err); ok { // whose text has the URL again
		return changed, ue.Err
	}
	if err != nil {
		return changed, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		return changed, nil
	case http.StatusNotFound:
		return changed, fmt.Errorf("it is not there: %w", fs.ErrNotExist)
	default:
		return changed, fmt.Errorf("the server answers %d", resp.StatusCode)
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.Copy(io.MultiWriter(into, sum), io.LimitReader(watch.Reader(resp.Body), maxArchive+1))
	switch {
	case err != nil:
		return changed, fmt.Errorf("after %d bytes: %w", n, err)
	case n > maxArchive:
		return changed, fmt.Errorf("it has more than %d bytes", int64(maxArchive))
	}
	if err := checkSum(resp.Header.Values("X-Goog-Hash"), sum); err != nil {
		return changed, err
	}
	if changed, err = http.ParseTime(resp.Header.Get("Last-Modified")); err != nil || changed.Unix() <= 0 || changed.After(time.Now()) {
		changed = time.Now()
	}
	return changed, nil
}

// checkSum compares a checksum with the one that the bucket says, where it says one.
func checkSum(said []string, sum hash.Hash32) error {
	for _, line := range said {
		for _, one := range strings.Split(line, ",") {
			text, ok := strings.CutPrefix(strings.TrimSpace(one), "crc32c=")
			if !ok {
				continue
			}
			want, err := base64.StdEncoding.DecodeString(text)
			if err == nil && len(want) == 4 && binary.BigEndian.Uint32(want) != sum.Sum32() {
				return errors.New("its checksum is not the one that the server says")
			}
		}
	}
	return nil
}
