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
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"fnb/images"
)

// emptyConfig is the configuration of what is no image.
const (
	emptyConfig     = "{}"
	emptyConfigType = "application/vnd.oci.empty.v1+json"
)

// maxListings is how often an entry is put into a list that others write at the same time.
const maxListings = 8

// An Attachment is one blob that is to be attached to an image, as a referrer of it. It has the fields
// of attestation.Artifact.
type Attachment struct {
	ArtifactType string            // of the manifest
	MediaType    string            // of the blob
	Annotations  map[string]string // of the manifest; they are in the list of referrers too
	Blob         []byte
}

// Attach attaches a to an image in ref's repository, whose own manifest stays what it is. Of subject the media
// type, digest and size are used; without a digest it is what ref names. Equal attachments have equal
// manifests: where the registry has it already, that costs one HEAD, and no list of referrers is looked at.
//
// A registry without the referrers API gets the tag that stands in for it, which others may write at
// the same time: a [*ReferrersError] says that it does not keep what is put into it.
func (c *Client) Attach(ctx context.Context, ref string, subject v1.Descriptor, a Attachment) (v1.Descriptor, error) {
	return c.attach(ctx, ref, subject, a, true)
}

// AttachAgain is [Client.Attach] for what the registry may have, and not list: it looks, and mends
// the list of referrers.
func (c *Client) AttachAgain(ctx context.Context, ref string, subject v1.Descriptor, a Attachment) (v1.Descriptor, error) {
	return c.attach(ctx, ref, subject, a, false)
}

func (c *Client) attach(ctx context.Context, ref string, subject v1.Descriptor, a Attachment, rely bool) (v1.Descriptor, error) {
	r, err := c.parse(ref)
	if err != nil {
		return v1.Descriptor{}, err
	}
	ctx, _ = withBudget(asking(ctx, r))
	if subject.Digest == (v1.Hash{}) {
		if subject, err = c.Head(ctx, ref); err != nil {
			return v1.Descriptor{}, err
		}
	}
	raw, desc, err := a.manifest(subject)
	if err != nil {
		return desc, err
	}
	s := &session{client: c, ref: r}
	if err := s.attach(ctx, subject.Digest, desc, raw, a, rely); err != nil {
		return desc, c.explain(ctx, err, r)
	}
	return desc, nil
}

// manifest writes the manifest of an attachment, in one way for equal ones.
func (a Attachment) manifest(subject v1.Descriptor) ([]byte, v1.Descriptor, error) {
	empty, _, _ := v1.SHA256(bytes.NewReader([]byte(emptyConfig))) // nothing can fail
	blob, size, _ := v1.SHA256(bytes.NewReader(a.Blob))
	raw, err := json.Marshal(referrerManifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: a.ArtifactType,
		Config:      v1.Descriptor{MediaType: emptyConfigType, Digest: empty, Size: int64(len(emptyConfig))},
		Layers:      []v1.Descriptor{{MediaType: types.MediaType(a.MediaType), Digest: blob, Size: size}},
		Subject:     &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations: a.Annotations,
	})
	if err != nil {
		return nil, v1.Descriptor{}, err
	}
	digest, length, err := v1.SHA256(bytes.NewReader(raw))
	return raw, v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: digest, Size: length, ArtifactType: a.ArtifactType, Annotations: a.Annotations}, err
}

// A referrerManifest is the manifest of what refers to an image. go-containerregistry's has no artifactType.
type referrerManifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     types.MediaType   `json:"mediaType"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        v1.Descriptor     `json:"config"`
	Layers        []v1.Descriptor   `json:"layers"`
	Subject       *v1.Descriptor    `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// A session speaks to one repository about what go-containerregistry has no words for.
type session struct {
	client *Client
	ref    reference
}

func (s *session) attach(ctx context.Context, subject v1.Hash, desc v1.Descriptor, raw []byte, a Attachment, rely bool) error {
	resp, err := s.do(ctx, http.MethodHead, "manifests/"+desc.Digest.String(), nil, http.StatusOK, http.StatusNotFound)
	if err != nil {
		return err
	}
	there, api := resp.StatusCode == http.StatusOK, false
	if there && rely {
		return nil
	}
	if !there {
		if err := s.blobs(ctx, a); err != nil {
			return err
		}
		resp, err := s.do(ctx, http.MethodPut, "manifests/"+desc.Digest.String(), &rawManifest{raw: raw, mediaType: desc.MediaType}, http.StatusCreated, http.StatusOK, http.StatusAccepted)
		if err != nil {
			return err
		}
		api = resp.Header.Get("OCI-Subject") != "" // the registry's word that it lists it
	}
	if api {
		return nil
	}
	return s.list(ctx, subject, desc)
}

// blobs brings what the manifest names.
func (s *session) blobs(ctx context.Context, a Attachment) error {
	pusher, _ := s.client.remotes()
	for _, l := range []v1.Layer{static.NewLayer([]byte(emptyConfig), emptyConfigType), static.NewLayer(a.Blob, types.MediaType(a.MediaType))} {
		release, err := s.client.slot(ctx)
		if err != nil {
			return err
		}
		err = pusher.Upload(ctx, s.ref.repo, l)
		release()
		if err != nil {
			return err
		}
	}
	return nil
}

// list sees to it that a registry that did not say so lists what was attached: one that has the API is
// asked, the others get the tag. Others may write that too, so it is looked at again.
func (s *session) list(ctx context.Context, subject v1.Hash, desc v1.Descriptor) error {
	host := s.ref.repo.RegistryStr()
	if _, none := s.client.noReferrers.Load(host); !none {
		got, api, err := s.api(ctx, subject.String(), desc.ArtifactType)
		switch {
		case err != nil:
			return err
		case api && has(got, desc):
			return nil
		case !api:
			s.client.noReferrers.Store(host, true)
		}
	}
	unlock := s.client.listing.lock(s.ref.repo.String() + "@" + subject.String())
	defer unlock()
	for try := range maxListings {
		if try > 1 { // the first look finds nothing wrong
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(rand.N(time.Duration(try) * 20 * time.Millisecond)):
			}
		}
		index, err := s.tag(ctx, subject)
		if err != nil {
			return err
		}
		if has(index.Manifests, desc) {
			return nil
		}
		if len(index.Manifests) >= maxReferrers {
			return &ReferrersError{Reference: s.ref.String(), Subject: subject.String(), Count: len(index.Manifests)}
		}
		index.Manifests = append(index.Manifests, desc)
		raw, err := json.Marshal(index)
		if err != nil {
			return err
		}
		if len(raw) > images.MaxManifest {
			return &ReferrersError{Reference: s.ref.String(), Subject: subject.String(), Count: len(index.Manifests)}
		}
		if _, err := s.do(ctx, http.MethodPut, "manifests/"+fallbackTag(subject), &rawManifest{raw: raw, mediaType: types.OCIImageIndex}, http.StatusCreated, http.StatusOK, http.StatusAccepted); err != nil {
			return err
		}
	}
	return &ReferrersError{Reference: s.ref.String(), Subject: subject.String(), Lost: desc.Digest.String()}
}

func has(all []v1.Descriptor, one v1.Descriptor) bool {
	for _, d := range all {
		if d.Digest == one.Digest {
			return true
		}
	}
	return false
}

// do makes a request about the repository, with a manifest as its body or none. The answer's body
// is in memory, and bounded.
func (s *session) do(ctx context.Context, method, path string, body *rawManifest, want ...int) (*answer, error) {
	client, err := s.client.speaker(ctx, s.ref)
	if err != nil {
		return nil, err
	}
	at := fmt.Sprintf("%s://%s/v2/%s/%s", s.ref.repo.Scheme(), s.ref.repo.RegistryStr(), s.ref.repo.RepositoryStr(), path)
	var content io.Reader = http.NoBody
	if body != nil {
		content = bytes.NewReader(body.raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, at, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", string(types.OCIImageIndex)+","+string(types.OCIManifestSchema1))
	if body != nil {
		req.Header.Set("Content-Type", string(body.mediaType))
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

// speaker returns what speaks to a repository with the right to push where the user has it; it keeps the token.
func (c *Client) speaker(ctx context.Context, r reference) (*http.Client, error) {
	key := r.repo.String()
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
	tr, err := transport.NewWithContext(ctx, r.repo.Registry, auth, transport.NewUserAgent(c.pings, c.opts.UserAgent), []string{r.repo.Scope(scope)})
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: tr}
	c.speakers.Store(key, client)
	return client, nil
}
