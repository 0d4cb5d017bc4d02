package images

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// EmptyConfig is the configuration of what is no image, and its media type (OCI image spec, "Guidance
// for an Empty Descriptor").
const (
	EmptyConfig     = "{}"
	EmptyConfigType = "application/vnd.oci.empty.v1+json"
)

// annotationSubject is the digest of what something is attached to, in the index.
const annotationSubject = "fnb.subject"

// An Attachment is one blob that is attached to an image, as a referrer of it. It has the fields
// of attestation.Artifact.
type Attachment struct {
	ArtifactType string            // of the manifest
	MediaType    string            // of the blob
	Annotations  map[string]string // of the manifest; they are in the list of referrers too
	Blob         []byte
}

// Manifest writes the manifest of an attachment to an image, of which media type, digest and size are used.
// Equal attachments have equal manifests. The descriptor is as it is in a list of referrers.
func (a Attachment) Manifest(subject v1.Descriptor) ([]byte, v1.Descriptor, error) {
	blob := blobOf(a.Blob, types.MediaType(a.MediaType))
	raw, err := json.Marshal(AttachmentManifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: a.ArtifactType,
		Config:      blobOf([]byte(EmptyConfig), EmptyConfigType),
		Layers:      []v1.Descriptor{blob},
		Subject:     &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations: a.Annotations,
	})
	if err != nil {
		return nil, v1.Descriptor{}, err
	}
	desc := blobOf(raw, types.OCIManifestSchema1)
	desc.ArtifactType, desc.Annotations = a.ArtifactType, a.Annotations
	return raw, desc, nil
}

func blobOf(raw []byte, mediaType types.MediaType) v1.Descriptor {
	digest, size, _ := v1.SHA256(bytes.NewReader(raw)) // nothing can fail
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}
}

// An AttachmentManifest is the manifest of what refers to an image. go-containerregistry's has no
// artifactType.
type AttachmentManifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     types.MediaType   `json:"mediaType"`
	ArtifactType  string            `json:"artifactType,omitempty"`
	Config        v1.Descriptor     `json:"config"`
	Layers        []v1.Descriptor   `json:"layers"`
	Subject       *v1.Descriptor    `json:"subject,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// Attach attaches to an image of the store, which need not have a reference yet. What is attached
// already stays as it is. It goes with the last image that it is attached to.
func (s *Store) Attach(ctx context.Context, subject v1.Descriptor, all ...Attachment) error {
	release, err := s.Hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	var made []v1.Descriptor
	for _, a := range all {
		raw, desc, err := a.Manifest(subject)
		if err != nil {
			return err
		}
		for _, blob := range [][]byte{[]byte(EmptyConfig), a.Blob, raw} {
			if d := blobOf(blob, ""); !s.Has(d) {
				if err := s.Write(d, bytes.NewReader(blob)); err != nil {
					return err
				}
			}
		}
		made = append(made, desc)
	}
	return s.PutAttached(ctx, subject.Digest, made...)
}

// PutAttached notes what is attached to an image, whose blobs are in the store, as
// [Store.Put] does it with an image.
func (s *Store) PutAttached(ctx context.Context, subject v1.Hash, all ...v1.Descriptor) error {
	if len(all) == 0 {
		return nil
	}
	return s.changeIndex(ctx, func(index *v1.IndexManifest) error {
		for _, d := range all {
			if slices.ContainsFunc(index.Manifests, func(have v1.Descriptor) bool { return have.Digest == d.Digest && isAttached(have) }) {
				continue
			}
			if _, err := s.Walk(ctx, d); err != nil {
				return err
			}
			annotations := maps.Clone(d.Annotations)
			if annotations == nil {
				annotations = map[string]string{}
			}
			delete(annotations, refName) // nobody else says what something is called
			annotations[annotationSubject] = subject.String()
			d.Annotations = annotations
			index.Manifests = append(index.Manifests, d)
		}
		return nil
	})
}

// isAttached reports whether an entry of the index is attached to something.
func isAttached(d v1.Descriptor) bool {
	return d.Annotations[refName] == "" && d.Annotations[annotationSubject] != ""
}

// Attached lists what is attached to the image, or to what else is attached to one, of a digest. The order is by digest.
func (s *Store) Attached(subject v1.Hash) ([]v1.Descriptor, error) {
	index, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	return s.attachedTo(index)[subject.String()], nil
}

// attachedTo is what an index has attached, by the digest of what it is attached to. Other tools that write a layout say
// that in the manifest alone.
func (s *Store) attachedTo(index *v1.IndexManifest) map[string][]v1.Descriptor {
	out := map[string][]v1.Descriptor{}
	for _, d := range index.Manifests {
		if d.Annotations[refName] != "" {
			continue
		}
		to := d.Annotations[annotationSubject]
		if to == "" {
			to = s.subjectOf(d)
		}
		if to == "" {
			continue
		}
		d.Annotations = maps.Clone(d.Annotations)
		delete(d.Annotations, annotationSubject)
		out[to] = append(out[to], d)
	}
	for _, all := range out {
		slices.SortFunc(all, func(a, b v1.Descriptor) int { return strings.Compare(a.Digest.Hex, b.Digest.Hex) })
	}
	return out
}

// subjectOf is what a manifest says that it refers to; "" where it says nothing or cannot be read.
func (s *Store) subjectOf(d v1.Descriptor) string {
	raw, err := s.readSmall(d)
	if err != nil {
		return ""
	}
	var m AttachmentManifest
	if json.Unmarshal(raw, &m) != nil || m.Subject == nil {
		return ""
	}
	return m.Subject.Digest.String()
}
