// Package answers takes registries as they are: it has one transport that makes of each
// answer the one that go-containerregistry and BuildKit's clients read: [Transport].
package answers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/origin"
)

const (
	// maxManifest bounds manifests, which registries take up to 4 MiB of, and lists of tags.
	maxManifest = 4 << 20
	// maxToken bounds what is no manifest, list or blob: tokens.
	maxToken     = 1 << 20
	maxRedirects = 10
)

// MaxShort is how much of an answer that is not read to its end is read, in bytes: an
// error, or what is left of it so that its connection stays usable.
const MaxShort = 64 << 10

// A Transport takes registries as they are. Much of what clients read is optional in
// the OCI distribution specification, or is written in several ways; the layers above
// get each answer in the one way that they read. What is no blob is bounded. Redirects
// are followed here, without secrets. It is safe for concurrent use.
type Transport struct {
	// Inner sends the requests.
	Inner http.RoundTripper
	// Guarded says that Inner alone decides whom a registry may lead to:
	// go-containerregistry knows no registry that is private itself, and refuses what
	// such a one leads to. Then the address of whoever gives out tokens has the
	// registry's name, and an answer about an upload seems to come from where that goes.
	Guarded bool

	realms sync.Map // see challenges.go
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.answer(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusUnauthorized {
		t.plainChallenges(r, resp)
	}
	return resp, nil
}

func (t *Transport) answer(r *http.Request) (*http.Response, error) {
	ofBlobs, ofManifests := strings.Contains(r.URL.Path, "/blobs/"), strings.Contains(r.URL.Path, "/manifests/")
	switch r.Method {
	case http.MethodGet:
		if ofManifests {
			return t.getManifest(r)
		}
		resp, err := t.follow(t.toRealm(r))
		switch {
		case err != nil || ofBlobs:
			return resp, err
		case strings.HasPrefix(r.URL.Path, "/v2/"):
			return bounded(resp, maxManifest), nil
		}
		return bounded(resp, maxToken), nil
	case http.MethodHead:
		if ofManifests {
			return t.headManifest(r)
		}
		return t.headBlob(r)
	case http.MethodPatch:
		return t.patch(r)
	case http.MethodPut:
		return t.renamed(r, http.StatusCreated, http.StatusOK, http.StatusAccepted, http.StatusNoContent)
	case http.MethodPost:
		if ofBlobs {
			return t.beginUpload(r)
		}
		resp, err := t.Inner.RoundTrip(t.toRealm(r))
		if err != nil {
			return nil, err
		}
		return bounded(resp, maxToken), nil
	}
	return t.Inner.RoundTrip(r)
}

// renamed is an answer whose status is as, where it is one of others.
func (t *Transport) renamed(r *http.Request, as int, others ...int) (*http.Response, error) {
	resp, err := t.Inner.RoundTrip(r)
	if err == nil && slices.Contains(others, resp.StatusCode) {
		Rename(resp, as)
	}
	return resp, err
}

// Rename gives an answer another status.
func Rename(resp *http.Response, status int) {
	resp.StatusCode, resp.Status = status, strconv.Itoa(status)+" "+http.StatusText(status)
}

// follow goes where a registry's redirects lead, with no secret. Where the answer from
// there is that one is wanted, the redirect is the answer: the layers above may get one.
func (t *Transport) follow(r *http.Request) (*http.Response, error) {
	at := r
	var first *http.Response
	for range maxRedirects {
		resp, err := t.Inner.RoundTrip(at)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode == http.StatusUnauthorized && first != nil {
			_, err := ReadShort(resp.Body)
			return first, err
		}
		to, err := resp.Location()
		if resp.StatusCode < 300 || resp.StatusCode > 399 || err != nil {
			return resp, nil //nolint:nilerr // an answer without a place to go is the answer
		}
		if _, err := ReadShort(resp.Body); err != nil {
			return nil, err
		}
		resp.Body = http.NoBody
		if first == nil {
			first = resp
		}
		at = at.Clone(r.Context())
		at.URL, at.Host, at.Response = to, "", resp
		if origin.Of(to) != origin.Of(r.URL) {
			at.Header.Del("Authorization")
		}
	}
	return nil, fmt.Errorf("%s redirects more than %d times", r.URL.Host, maxRedirects)
}

// getManifest has a media type for what is a manifest, whatever its answer calls it.
func (t *Transport) getManifest(r *http.Request) (*http.Response, error) {
	resp, err := t.follow(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	bounded(resp, maxManifest)
	kind, named := MediaType(resp)
	if !named {
		raw, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			return nil, err
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
		kind = manifestType(raw, kind)
	}
	resp.Header.Set("Content-Type", kind)
	return resp, nil
}

// MediaType is an answer's media type without its parameters, and whether it says
// more than that these are bytes, or JSON.
func MediaType(resp *http.Response) (kind string, named bool) {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		kind, _, _ = strings.Cut(resp.Header.Get("Content-Type"), ";")
		kind = strings.TrimSpace(kind)
	}
	return kind, strings.HasPrefix(kind, "application/vnd.")
}

// manifestType reads from a manifest what it is; otherwise it is as it was called.
func manifestType(raw []byte, called string) string {
	var m struct {
		MediaType string            `json:"mediaType"`
		Manifests []json.RawMessage `json:"manifests"`
		Config    json.RawMessage   `json:"config"`
	}
	switch err := json.Unmarshal(raw, &m); {
	case err != nil:
		return called
	case m.MediaType != "":
		return m.MediaType
	case m.Manifests != nil:
		return ocispecs.MediaTypeImageIndex
	case m.Config != nil:
		return ocispecs.MediaTypeImageManifest
	}
	return called
}

// headManifest asks for the manifest itself where the answer to HEAD does not say
// what it is, how long it is and what its digest is, or where there is no HEAD.
func (t *Transport) headManifest(r *http.Request) (*http.Response, error) {
	resp, err := t.follow(r)
	if err != nil {
		return nil, err
	}
	if kind, named := MediaType(resp); resp.StatusCode == http.StatusOK && named && resp.ContentLength > 0 {
		if _, err := digest.Parse(resp.Header.Get("Docker-Content-Digest")); err == nil {
			resp.Header.Set("Content-Type", kind)
			return resp, nil
		}
	}
	// A registry may refuse the question only, or say more of why it refuses to GET.
	if resp.StatusCode > 299 && resp.StatusCode != http.StatusForbidden && !noHead(resp) {
		return resp, nil
	}
	if _, err := ReadShort(resp.Body); err != nil {
		return nil, err
	}
	get := r.Clone(r.Context())
	get.Method = http.MethodGet
	if resp, err = t.getManifest(get); err != nil {
		return nil, err
	}
	if noHead(resp) {
		Rename(resp, http.StatusNotFound) // it cannot be asked for: the push will see
	}
	if resp.StatusCode != http.StatusOK {
		return resp, nil
	}
	raw, err := io.ReadAll(resp.Body) // getManifest has bounded it
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	resp.Header.Set("Docker-Content-Digest", digest.FromBytes(raw).String())
	resp.Header.Set("Content-Length", strconv.Itoa(len(raw)))
	resp.Body, resp.ContentLength = http.NoBody, int64(len(raw))
	return resp, nil
}

// noHead reports whether a server, or what is in front of it, has no HEAD.
func noHead(resp *http.Response) bool {
	return slices.Contains([]int{http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented}, resp.StatusCode)
}

// headBlob asks whether a blob is there. Whether one who is refused may send it is for
// the upload to find out.
func (t *Transport) headBlob(r *http.Request) (*http.Response, error) {
	resp, err := t.follow(r)
	if err != nil {
		return nil, err
	}
	switch {
	case resp.StatusCode == http.StatusNoContent:
		Rename(resp, http.StatusOK)
	case noHead(resp), resp.StatusCode == http.StatusForbidden, resp.StatusCode == http.StatusGone:
		Rename(resp, http.StatusNotFound)
	}
	return resp, nil
}

// beginUpload has a place for the content, where that is wanted. One who takes no blob
// over from another repository is asked for an upload.
func (t *Transport) beginUpload(r *http.Request) (*http.Response, error) {
	resp, err := t.renamed(r, http.StatusAccepted, http.StatusOK, http.StatusNoContent)
	if err != nil {
		return nil, err
	}
	if r.URL.Query().Has("mount") && noMount(resp) {
		if _, err := ReadShort(resp.Body); err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.URL.RawQuery = plainUpload(r.URL.Query())
		return t.beginUpload(r)
	}
	if at := resp.Header.Get("Location"); resp.StatusCode == http.StatusCreated && !r.URL.Query().Has("mount") && !strings.Contains(at, "/blobs/sha256:") {
		Rename(resp, http.StatusAccepted) // an upload was made, and no blob
	}
	return t.located(resp)
}

// noMount reports whether a registry takes no blob over from another repository, or not
// from that one.
func noMount(resp *http.Response) bool {
	return slices.Contains([]int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}, resp.StatusCode)
}

// plainUpload is a query that begins an upload.
func plainUpload(q url.Values) string {
	for _, k := range []string{"mount", "from", "origin"} {
		q.Del(k)
	}
	return q.Encode()
}

// patch has a place for what follows, which is the same one where the answer names none.
func (t *Transport) patch(r *http.Request) (*http.Response, error) {
	resp, err := t.renamed(r, http.StatusAccepted, http.StatusOK)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 300 && resp.Header.Get("Location") == "" {
		resp.Header.Set("Location", r.URL.String())
	}
	return t.located(resp)
}

// located makes the place of an upload a whole address. One of the same host stays in
// HTTPS: a registry behind a proxy that ends TLS may not know of it.
func (t *Transport) located(resp *http.Response) (*http.Response, error) {
	said := resp.Header.Get("Location")
	if resp.StatusCode > 299 || said == "" {
		return resp, nil
	}
	from := resp.Request
	if !strings.Contains(said, "://") && strings.HasPrefix(said, from.URL.Host+"/") {
		said = from.URL.Scheme + "://" + said
	}
	to, err := from.URL.Parse(said)
	if err != nil {
		return nil, errors.Join(errors.New("the place of an upload is not an address"), resp.Body.Close())
	}
	if from.URL.Scheme == "https" && to.Scheme == "http" && strings.EqualFold(to.Host, from.URL.Host) {
		to.Scheme = "https"
	}
	resp.Header.Set("Location", to.String())
	if t.Guarded {
		resp.Request = from.Clone(from.Context())
		resp.Request.URL = to
	}
	return resp, nil
}

// bounded has reading an answer's body fail behind limit bytes.
func bounded(resp *http.Response, limit int64) *http.Response {
	if resp.StatusCode < 300 {
		resp.Body = &boundedBody{ReadCloser: resp.Body, host: resp.Request.URL.Host, limit: limit, left: limit}
	}
	return resp
}

type boundedBody struct {
	io.ReadCloser
	host        string
	limit, left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("the answer of %s has more than %d bytes", b.host, b.limit)
	}
	return n, err
}

// ReadShort reads a short answer, and what is left of a long one as far as that keeps
// its connection usable.
func ReadShort(body io.ReadCloser) ([]byte, error) {
	short, err := io.ReadAll(io.LimitReader(body, MaxShort))
	return short, errors.Join(err, body.Close())
}
