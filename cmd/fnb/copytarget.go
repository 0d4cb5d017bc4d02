package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"fnb/images"
	"fnb/internal/plain"
	"fnb/schema"
)

// inFolder are all images of an OCI image layout, which has to be there.
func inFolder(dir string) (all []copying, err error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("%s%s: %w", ociPrefix, plain.Line(dir), fs.ErrNotExist)
	}
	s, err := images.Open(dir)
	if err != nil {
		return nil, err
	}
	entries, err := s.List()
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		all = append(all, copying{ref: e.Reference, store: s})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s%s has no images", ociPrefix, plain.Line(dir))
	}
	return all, nil
}

// below is what an image is called at its new place: as that says or, below a prefix, by the last part of its name, with its
// tag or else its digest.
func below(ref, to string) (string, error) {
	if !strings.HasSuffix(to, "/") {
		return to, nil
	}
	from, err := schema.ParseImageRef(ref)
	if err != nil {
		return "", err
	}
	name := to + path.Base(from.Repository)
	if full := from.Full(); from.Tag != "" || from.Digest == "" {
		return name + ":" + full.Tag, nil
	}
	return name + "@" + from.Digest, nil
}
