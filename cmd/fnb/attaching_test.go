package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rogpeppe/go-internal/testscript"

	"fnb/registry"
	"fnb/trust/attestation"
)

// attacher is a client of registries, and what ref names there.
func attacher(ts *testscript.TestScript, ref string) (*registry.Client, v1.Descriptor) {
	c, err := registry.New(registry.Options{})
	ts.Check(err)
	d, err := c.Head(context.Background(), ref)
	ts.Check(err)
	return c, d
}

// cmdAttach: attach REF TYPE PREDICATE FILE attaches a file to an image in its registry, whatever it is. TYPE is bundle
// or statement, and PREDICATE is what is announced of it.
func cmdAttach(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: attach REF TYPE PREDICATE FILE")
	}
	kind := map[string]string{"bundle": attestation.MediaTypeBundle, "statement": attestation.MediaTypeStatement}[args[1]]
	said := map[string]string{"bundle": attestation.AnnotationPredicateType, "statement": attestation.AnnotationInToto}[args[1]]
	c, d := attacher(ts, args[0])
	_, err := c.Attach(context.Background(), args[0], d, registry.Attachment{
		ArtifactType: kind, MediaType: kind, Annotations: map[string]string{said: args[2]}, Blob: []byte(ts.ReadFile(args[3])),
	})
	ts.Check(err)
}

// cmdAttached: attached REF PREDICATE FILE writes what is attached to an image, and announced so, into a file.
func cmdAttached(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: attached REF PREDICATE FILE")
	}
	c, d := attacher(ts, args[0])
	all, err := c.Referrers(context.Background(), args[0], d.Digest.String(), "")
	ts.Check(err)
	for _, one := range all {
		if attestation.PredicateOf(one.Annotations) == args[1] {
			a, err := c.Attached(context.Background(), args[0], d.Digest.String(), one, attestation.MaxBytes)
			ts.Check(err)
			ts.Check(os.WriteFile(ts.MkAbs(args[2]), a.Blob, 0o600))
			return
		}
	}
	ts.Fatalf("%s has nothing of the type %s: %v", args[0], args[1], all)
}

// cmdListing: listing VAR N PREDICATE makes VAR the address of the shared registry that lists so many signed statements more of
// each image. A registry takes no list of what it does not have, so they are added on the way.
func (r *rig) cmdListing(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: listing VAR N PREDICATE")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	more := make([]v1.Descriptor, n)
	for i := range more {
		more[i] = v1.Descriptor{
			MediaType: types.OCIManifestSchema1, Size: 1, ArtifactType: attestation.MediaTypeBundle, Digest: v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%064x", i)},
			Annotations: map[string]string{attestation.AnnotationPredicateType: args[2]},
		}
	}
	to, err := url.Parse("http://" + r.registry.Host)
	ts.Check(err)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(q *httputil.ProxyRequest) { q.SetURL(to) },
		ModifyResponse: func(a *http.Response) error {
			if a.Request.Method != http.MethodGet || a.StatusCode != http.StatusOK || !strings.Contains(a.Request.URL.Path, "/manifests/sha256-") {
				return nil
			}
			var index v1.IndexManifest
			if err := json.NewDecoder(a.Body).Decode(&index); err != nil {
				return err
			}
			index.Manifests = append(index.Manifests, more...)
			data, err := json.Marshal(index)
			a.Body, a.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
			a.Header.Set("Content-Length", strconv.Itoa(len(data)))
			a.Header.Del("Docker-Content-Digest")
			return err
		},
	}
	server := httptest.NewServer(proxy)
	ts.Defer(server.Close)
	ts.Setenv(args[0], strings.TrimPrefix(server.URL, "http://"))
}
