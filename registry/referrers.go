package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"fnb/images"
	"fnb/internal/plain"
)

// Bounds of a list of referrers.
const (
	maxReferrers     = 10_000
	maxReferrerPages = 1_000
)

// A ReferrersError says that the list of what is attached to an image cannot be relied on.
type ReferrersError struct {
	Reference string
	Subject   string // the image's digest
	Lost      string // what the registry was given or has listed, and does not have; "" where
	Count     int    // there are more than are read, or than Most
	Most      int    // how many there may be, where that is less than are read
}

func (e *ReferrersError) Error() string {
	if e.Lost != "" {
		return fmt.Sprintf("%s: the registry has lost what was attached to the image: %s", e.Reference, e.Lost)
	}
	return fmt.Sprintf("%s: more than %d things are attached to %s", e.Reference, cmp.Or(e.Most, maxReferrers), e.Subject)
}

// An AttachedError says that something attached to an image is not what its place promises.
type AttachedError struct {
	Reference string
	Digest    string // or the tag, of what is attached
	Why       string
}

func (e *AttachedError) Error() string {
	return fmt.Sprintf("%s: what is attached, %s: %s", e.Reference, e.Digest, e.Why)
}

// Referrers lists what is attached to the image of a digest in ref's repository, by the referrers API or, where that
// is missing or knows nothing, by the tag that stands in for it. With an artifactType only those of it
// are listed, and those of which the registry does not say it: [Client.Attached] knows. The order is by digest. An image that is not there has none. More than
// 10,000 are a [*ReferrersError].
func (c *Client) Referrers(ctx context.Context, ref, digest, artifactType string) ([]v1.Descriptor, error) {
	r, err := c.parse(ref)
	if err != nil {
		return nil, err
	}
	subject, err := v1.NewHash(digest)
	if err != nil {
		return nil, fmt.Errorf("%s: %s is not a digest", r, plain.Quoted(digest))
	}
	ctx, _ = withBudget(asking(ctx, r))
	s := &session{client: c, ref: r}
	found, err := s.referrers(ctx, subject, artifactType)
	if err != nil {
		return nil, c.explain(ctx, err, r)
	}
	slices.SortFunc(found, func(a, b v1.Descriptor) int { return strings.Compare(a.Digest.String(), b.Digest.String()) })
	return slices.CompactFunc(found, func(a, b v1.Descriptor) bool { return a.Digest == b.Digest }), nil
}

func (s *session) referrers(ctx context.Context, subject v1.Hash, artifactType string) ([]v1.Descriptor, error) {
	if s.hasAPI() {
		found, api, err := s.api(ctx, subject.String(), artifactType)
		if err != nil || len(found) > 0 {
			return found, err
		}
		if !api {
			s.lacksAPI()
		}
	}
	index, err := s.tag(ctx, subject)
	if err != nil {
		return nil, err
	}
	if len(index.Manifests) > maxReferrers {
		return nil, &ReferrersError{Reference: s.ref.String(), Subject: subject.String(), Count: len(index.Manifests)}
	}
	return ofType(index.Manifests, artifactType), nil
}

// ofType returns those of a type: a registry need not choose. Some do not say of what type
// something is, or that it is of its configuration's; it may be of any.
func ofType(all []v1.Descriptor, artifactType string) []v1.Descriptor {
	return slices.DeleteFunc(all, func(d v1.Descriptor) bool {
		unsaid := d.ArtifactType == "" || d.ArtifactType == images.EmptyConfigType
		return artifactType != "" && d.ArtifactType != artifactType && !unsaid
	})
}

// api asks the referrers API, page by page, and reports whether the registry has it.
func (s *session) api(ctx context.Context, digest, artifactType string) (found []v1.Descriptor, api bool, err error) {
	path := "referrers/" + digest
	if artifactType != "" {
		path += "?artifactType=" + url.QueryEscape(artifactType)
	}
	for range maxReferrerPages {
		got, err := s.do(ctx, http.MethodGet, path, nil, http.StatusOK, http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable)
		if err != nil {
			return nil, false, err
		}
		var index v1.IndexManifest
		if kind, _, _ := strings.Cut(got.Header.Get("Content-Type"), ";"); got.StatusCode != http.StatusOK || kind != string(types.OCIImageIndex) || json.Unmarshal(got.raw, &index) != nil {
			return nil, false, nil
		}
		found = append(found, ofType(index.Manifests, artifactType)...)
		if len(found) > maxReferrers {
			break
		}
		next := nextPage(got.Response)
		if next == "" {
			return found, true, nil
		}
		path = "referrers/" + digest + "?" + next
	}
	return nil, true, &ReferrersError{Reference: s.ref.String(), Subject: digest, Count: len(found)}
}

// nextPage is the query of the next page; "" where there is none. It alone is taken from the registry's
// link, so a link leads nowhere else.
func nextPage(resp *http.Response) string {
	link := resp.Header.Get("Link")
	from, to := strings.IndexByte(link, '<'), strings.IndexByte(link, '>')
	if from < 0 || to < from || !strings.Contains(link[to:], `rel="next"`) && !strings.Contains(link[to:], "rel=next") {
		return ""
	}
	u, err := url.Parse(link[from+1 : to])
	if err != nil {
		return ""
	}
	return u.Query().Encode()
}

// fallbackTag is the tag that stands in for the referrers API (OCI distribution spec, "Referrers Tag Schema").
func fallbackTag(subject v1.Hash) string { return subject.Algorithm + "-" + subject.Hex }

// tag reads the list under the tag; an empty one where there is none.
func (s *session) tag(ctx context.Context, subject v1.Hash) (*v1.IndexManifest, error) {
	got, err := s.do(ctx, http.MethodGet, "manifests/"+fallbackTag(subject), nil, http.StatusOK, http.StatusNotFound)
	if err != nil {
		return nil, err
	}
	index := &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	if got.StatusCode == http.StatusNotFound {
		return index, nil
	}
	if err := json.Unmarshal(got.raw, index); err != nil || index.MediaType != "" && index.MediaType != types.OCIImageIndex {
		return nil, &AttachedError{Reference: s.ref.String(), Digest: fallbackTag(subject), Why: "the tag is not a list of what is attached"}
	}
	index.MediaType = types.OCIImageIndex
	return index, nil
}

// Attached reads one referrer of an image, of [Client.Referrers]: its only blob, which has most bytes at most, and what
// its manifest says. One that is listed, and not there, is a [*ReferrersError].
func (c *Client) Attached(ctx context.Context, ref, digest string, referrer v1.Descriptor, most int64) (Attachment, error) {
	r, err := c.parse(ref)
	if err != nil {
		return Attachment{}, err
	}
	ctx, _ = withBudget(asking(ctx, r))
	s := &session{client: c, ref: r}
	a, err := s.attached(ctx, digest, referrer, most)
	if t, ok := errors.AsType[*transport.Error](err); ok && t.StatusCode == http.StatusNotFound {
		return a, &ReferrersError{Reference: r.String(), Subject: digest, Lost: referrer.Digest.String()}
	}
	if err != nil {
		return a, c.explain(ctx, err, r)
	}
	return a, nil
}

func (s *session) attached(ctx context.Context, digest string, referrer v1.Descriptor, most int64) (Attachment, error) {
	got, err := s.do(ctx, http.MethodGet, "manifests/"+referrer.Digest.String(), nil, http.StatusOK)
	if err != nil {
		return Attachment{}, err
	}
	bad := func(format string, args ...any) (Attachment, error) {
		return Attachment{}, &AttachedError{Reference: s.ref.String(), Digest: referrer.Digest.String(), Why: fmt.Sprintf(format, args...)}
	}
	if sum, _, err := v1.SHA256(bytes.NewReader(got.raw)); err != nil || sum != referrer.Digest {
		return bad("its manifest has the digest %s", sum)
	}
	var m images.AttachmentManifest
	if err := json.Unmarshal(got.raw, &m); err != nil {
		return bad("reading its manifest: %v", plain.Error(err))
	}
	a := Attachment{ArtifactType: m.ArtifactType, Annotations: m.Annotations}
	if a.ArtifactType == "" {
		a.ArtifactType = string(m.Config.MediaType)
	}
	switch {
	case m.Subject == nil || m.Subject.Digest.String() != digest:
		return bad("it refers to another image")
	case len(m.Layers) != 1:
		return bad("it has %d layers, and not one", len(m.Layers))
	case m.Layers[0].Size > most:
		return bad("it has %s, more than the %s allowed", plain.Size(m.Layers[0].Size), plain.Size(most))
	}
	l := m.Layers[0]
	a.MediaType = string(l.MediaType)
	_, puller := s.client.remotes()
	layer, err := puller.Layer(ctx, s.ref.repo.Digest(l.Digest.String()))
	if err != nil {
		return a, err
	}
	body, err := layer.Compressed() // which checks the digest
	if err != nil {
		return a, err
	}
	a.Blob, err = io.ReadAll(io.LimitReader(body, l.Size+1))
	if err := errors.Join(err, body.Close()); err != nil {
		return a, err
	}
	if int64(len(a.Blob)) != l.Size {
		return bad("it has not the %d bytes that it should have", l.Size)
	}
	if m.Config.Digest == emptyConfig() { // then the repository has it
		s.client.emptied.Store(s.ref.repo.String(), true)
	}
	return a, nil
}

// named are locks by a name.
type named struct{ all sync.Map }

func (n *named) lock(name string) (unlock func()) {
	l, _ := n.all.LoadOrStore(name, &sync.Mutex{})
	m, _ := l.(*sync.Mutex) // nothing else is in there
	m.Lock()
	return m.Unlock
}

// HasTag reports whether ref's repository has a tag.
func (c *Client) HasTag(ctx context.Context, ref, tag string) (bool, error) {
	r, err := c.parse(ref)
	if err != nil {
		return false, err
	}
	ctx, _ = withBudget(asking(ctx, r))
	s := &session{client: c, ref: r}
	got, err := s.do(ctx, http.MethodHead, "manifests/"+tag, nil, http.StatusOK, http.StatusNotFound)
	if err != nil {
		return false, c.explain(ctx, err, r)
	}
	return got.StatusCode == http.StatusOK, nil
}
