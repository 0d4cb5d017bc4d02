package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"fnb/images"
)

// maxListings is how often entries are put into a list that others write at the same time.
const maxListings = 8

// An Attachment is one blob that is to be attached to an image, as a referrer of it.
type Attachment = images.Attachment

// Attach attaches all to an image in ref's repository, whose own manifest stays what it is. Of subject the media
// type, digest and size are used; without a digest it is what ref names. Equal attachments have equal
// manifests: what the registry lists already is not sent, so that it costs one request. The descriptors are in the order
// of the attachments.
//
// A registry without the referrers API gets the tag that stands in for it, which others may write at
// the same time: a [*ReferrersError] says that it does not keep what is put into it.
func (c *Client) Attach(ctx context.Context, ref string, subject v1.Descriptor, all ...Attachment) ([]v1.Descriptor, error) {
	return c.attach(ctx, ref, subject, all, false)
}

// AttachNew is [Client.Attach] to an image that was just made: that nothing is listed yet is likely, and not asked before all
// is sent. Where the list turns out to be empty nobody else is waited for, since nobody else knows the image.
func (c *Client) AttachNew(ctx context.Context, ref string, subject v1.Descriptor, all ...Attachment) ([]v1.Descriptor, error) {
	return c.attach(ctx, ref, subject, all, true)
}

func (c *Client) attach(ctx context.Context, ref string, subject v1.Descriptor, all []Attachment, made bool) ([]v1.Descriptor, error) {
	r, err := c.parse(ref)
	if err != nil {
		return nil, err
	}
	ctx, _ = withBudget(asking(ctx, r))
	if subject.Digest == (v1.Hash{}) {
		if subject, err = c.Head(ctx, ref); err != nil {
			return nil, err
		}
	}
	s := &session{client: c, ref: r, made: made}
	var descs []v1.Descriptor
	var put []referrer
	for _, a := range all {
		raw, desc, err := a.Manifest(subject)
		if err != nil {
			return nil, err
		}
		descs = append(descs, desc)
		put = append(put, referrer{desc: desc, raw: raw, bring: func(ctx context.Context) error { return s.blobs(ctx, a.Blob) }})
	}
	if err := s.attach(ctx, subject.Digest, put); err != nil {
		return nil, c.explain(ctx, err, r)
	}
	return descs, nil
}

// A session speaks to one repository about what go-containerregistry has no words for.
type session struct {
	client *Client
	ref    reference
	from   string // another repository of the registry that is read from too
	docker bool   // manifests of Docker's types are taken as well
	made   bool   // what is attached to was just made
}

// A referrer is a manifest that refers to an image, and what brings the blobs that it names.
type referrer struct {
	desc  v1.Descriptor
	raw   []byte
	bring func(context.Context) error
}

// attach brings what the registry does not list, side by side, and has it listed.
func (s *session) attach(ctx context.Context, subject v1.Hash, all []referrer) error {
	if !s.made {
		listed, err := s.listed(ctx, subject)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(slices.Clone(all), func(r referrer) bool { return has(listed, r.desc) })
	}
	if len(all) == 0 {
		return nil
	}
	var silent atomic.Bool
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(s.client.opts.Jobs)
	for _, r := range all {
		g.Go(func() error {
			said, err := s.put(gctx, r)
			if !said {
				silent.Store(true)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil || !silent.Load() {
		return err
	}
	var descs []v1.Descriptor
	for _, r := range all {
		descs = append(descs, r.desc)
	}
	return s.list(ctx, subject, descs)
}

// put brings one referrer. It reports whether the registry has said that it lists it.
func (s *session) put(ctx context.Context, r referrer) (listed bool, err error) {
	if err := r.bring(ctx); err != nil {
		return false, err
	}
	resp, err := s.do(ctx, http.MethodPut, "manifests/"+r.desc.Digest.String(), &content{raw: r.raw, mediaType: string(r.desc.MediaType)}, http.StatusCreated, http.StatusOK, http.StatusAccepted)
	if err != nil {
		return false, err
	}
	return resp.Header.Get("OCI-Subject") != "", nil
}

// blobs brings what the manifest of an attachment names. Its blob is the image's own, so nobody is asked for it.
func (s *session) blobs(ctx context.Context, blob []byte) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.empty(gctx) })
	g.Go(func() error { return s.blob(gctx, blob) })
	return g.Wait()
}

// empty sees to it that the repository has the configuration of what is no image, once for each. It is asked to take it over
// from itself, as it would from another repository: this begins to send it where it is not there.
func (s *session) empty(ctx context.Context) error {
	repo, raw := s.ref.repo.String(), []byte(images.EmptyConfig)
	unlock := s.client.writing.lock(repo)
	defer unlock()
	if _, there := s.client.emptied.Load(repo); there {
		return nil
	}
	release, err := s.client.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	resp, err := s.do(ctx, http.MethodPost, "blobs/uploads/?mount="+url.QueryEscape(emptyConfig().String())+"&from="+url.QueryEscape(s.ref.repo.RepositoryStr()), nil, http.StatusAccepted, http.StatusCreated)
	if err == nil && resp.StatusCode == http.StatusAccepted {
		err = s.send(ctx, resp, raw)
	}
	if err == nil {
		s.client.emptied.Store(repo, true)
	}
	return err
}

// emptyConfig is the digest of the configuration of what is no image.
func emptyConfig() v1.Hash {
	sum, _, _ := v1.SHA256(strings.NewReader(images.EmptyConfig)) // nothing can fail
	return sum
}

// blob sends a small blob, in one piece (OCI distribution spec, "POST then PUT").
func (s *session) blob(ctx context.Context, raw []byte) error {
	release, err := s.client.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	resp, err := s.do(ctx, http.MethodPost, "blobs/uploads/", nil, http.StatusAccepted, http.StatusCreated)
	if err != nil {
		return err
	}
	return s.send(ctx, resp, raw)
}

// send sends a blob to where the answer to POST leads.
func (s *session) send(ctx context.Context, begun *answer, raw []byte) error {
	to, err := begun.Location()
	if err != nil {
		return fmt.Errorf("the registry does not say where a blob is sent to: %w", err)
	}
	sum, _, _ := v1.SHA256(bytes.NewReader(raw)) // nothing can fail
	query := to.Query()
	query.Set("digest", sum.String())
	to.RawQuery = query.Encode()
	_, err = s.at(ctx, http.MethodPut, to.String(), &content{raw: raw, mediaType: "application/octet-stream"}, http.StatusCreated, http.StatusOK, http.StatusNoContent)
	return err
}

// listed are the referrers of an image that the registry has in its list.
func (s *session) listed(ctx context.Context, subject v1.Hash) ([]v1.Descriptor, error) {
	if s.hasAPI() {
		found, api, err := s.api(ctx, subject.String(), "")
		if err != nil || api {
			return found, err
		}
		s.lacksAPI()
	}
	index, err := s.tag(ctx, subject)
	if err != nil {
		return nil, err
	}
	return index.Manifests, nil
}

// hasAPI reports whether the registry may have the referrers API.
func (s *session) hasAPI() bool {
	_, none := s.client.noReferrers.Load(s.ref.repo.RegistryStr())
	return !none
}

func (s *session) lacksAPI() { s.client.noReferrers.Store(s.ref.repo.RegistryStr(), true) }

// list sees to it that a registry that did not say so lists what was attached: one that has the API is
// asked, the others get the tag.
func (s *session) list(ctx context.Context, subject v1.Hash, descs []v1.Descriptor) error {
	if s.hasAPI() {
		got, api, err := s.api(ctx, subject.String(), "")
		if err != nil {
			return err
		}
		if api && hasAll(got, descs) {
			return nil
		}
		if !api {
			s.lacksAPI()
		}
	}
	unlock := s.client.writing.lock(s.ref.repo.String() + "@" + subject.String())
	defer unlock()
	return s.tagAll(ctx, subject, descs)
}

// tagAll puts entries into the tag that stands in for the referrers API. Others may write it at the same time, and registries
// write it whatever it has become since it was read. So it is read right before it is written, and again
// after twice the time that this took: whoever had read what was there before has then written as well, if that is not
// much slower. What was in a list once, of whoever, and is not in the next one is put into it again.
//
// What a slower writer puts back later cannot be seen, nor that somebody has taken an entry out on purpose at that moment.
func (s *session) tagAll(ctx context.Context, subject v1.Hash, descs []v1.Descriptor) error {
	seen := descs
	var pause time.Duration
	for try := range maxListings {
		if try > 1 { // those who meet again must not go on at one pace
			pause += rand.N(time.Duration(try) * 20 * time.Millisecond)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		began := time.Now()
		index, err := s.tag(ctx, subject)
		if err != nil {
			return err
		}
		seen = union(seen, index.Manifests)
		all := union(index.Manifests, seen)
		if len(all) == len(index.Manifests) {
			return nil
		}
		alone := s.made && try == 0 && len(index.Manifests) == 0
		index.Manifests = all
		raw, err := json.Marshal(index)
		if err != nil {
			return err
		}
		if len(all) > maxReferrers || len(raw) > images.MaxManifest {
			return &ReferrersError{Reference: s.ref.String(), Subject: subject.String(), Count: len(all)}
		}
		if _, err := s.do(ctx, http.MethodPut, "manifests/"+fallbackTag(subject), &content{raw: raw, mediaType: string(types.OCIImageIndex)}, http.StatusCreated, http.StatusOK, http.StatusAccepted); err != nil {
			return err
		}
		if !alone {
			pause = 2 * time.Since(began)
		}
	}
	return &ReferrersError{Reference: s.ref.String(), Subject: subject.String(), Lost: descs[0].Digest.String()}
}

// union is one list with the entries of another one that it lacks behind its own.
func union(all, more []v1.Descriptor) []v1.Descriptor {
	there := map[v1.Hash]bool{}
	for _, d := range all {
		there[d.Digest] = true
	}
	out := slices.Clip(all)
	for _, d := range more {
		if !there[d.Digest] {
			there[d.Digest], out = true, append(out, d)
		}
	}
	return out
}

func hasAll(all, some []v1.Descriptor) bool {
	return !slices.ContainsFunc(some, func(d v1.Descriptor) bool { return !has(all, d) })
}

func has(all []v1.Descriptor, one v1.Descriptor) bool {
	for _, d := range all {
		if d.Digest == one.Digest {
			return true
		}
	}
	return false
}

// content is the body of a request.
type content struct {
	raw       []byte
	mediaType string
}

// do makes a request about the repository, with a body or none. The answer's body
// is in memory, and bounded.
func (s *session) do(ctx context.Context, method, path string, body *content, want ...int) (*answer, error) {
	return s.at(ctx, method, fmt.Sprintf("%s://%s/v2/%s/%s", s.ref.repo.Scheme(), s.ref.repo.RegistryStr(), s.ref.repo.RepositoryStr(), path), body, want...)
}

// at is do for an address in full.
func (s *session) at(ctx context.Context, method, address string, body *content, want ...int) (*answer, error) {
	client, err := s.client.speaker(ctx, s.ref, s.from)
	if err != nil {
		return nil, err
	}
	var reader io.Reader = http.NoBody
	if body != nil {
		reader = bytes.NewReader(body.raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, reader)
	if err != nil {
		return nil, err
	}
	accept := string(types.OCIImageIndex) + "," + string(types.OCIManifestSchema1)
	if s.docker {
		accept += "," + string(types.DockerManifestList) + "," + string(types.DockerManifestSchema2)
	}
	req.Header.Set("Accept", accept)
	if body != nil {
		req.Header.Set("Content-Type", body.mediaType)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read from
	if err := transport.CheckError(resp, want...); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, images.MaxManifest+1))
	if err == nil && len(raw) > images.MaxManifest {
		err = errors.New("its answer is larger than any manifest")
	}
	return &answer{Response: resp, raw: raw}, err
}

type answer struct {
	*http.Response
	raw []byte
}

// speaker returns what speaks to a repository with the right to push where the user has it, and to read
// from another one of its registry; it keeps the token.
func (c *Client) speaker(ctx context.Context, r reference, from string) (*http.Client, error) {
	key := r.repo.String() + " " + from
	if known, ok := c.speakers.Load(key); ok {
		if client, ok := known.(*http.Client); ok {
			return client, nil
		}
	}
	auth, err := authn.Resolve(ctx, c.keys, r.repo)
	if err != nil {
		return nil, err
	}
	scope := transport.PullScope
	if auth != authn.Anonymous {
		scope = transport.PushScope
	}
	scopes := []string{r.repo.Scope(scope)}
	if from != "" {
		scopes = append(scopes, "repository:"+from+":"+transport.PullScope)
	}
	tr, err := transport.NewWithContext(ctx, r.repo.Registry, auth, transport.NewUserAgent(c.pings, c.opts.UserAgent), scopes)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: tr}
	c.speakers.Store(key, client)
	return client, nil
}
