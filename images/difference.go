package images

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/internal/plain"
)

// A Difference is the first thing in which two images differ.
type Difference struct {
	Platform string `json:"platform,omitempty"`
	Layer    int    `json:"layer,omitempty"` // from 1; 0 where it is in no layer
	Layers   int    `json:"layers,omitempty"`
	Path     string `json:"path,omitempty"` // of the file in the layer
	What     string `json:"what"`
}

// String says it in one line.
func (d *Difference) String() string {
	s := d.What
	if d.Path != "" {
		s = plain.Short(d.Path) + ": " + s
	}
	if d.Layer > 0 {
		s = fmt.Sprintf("layer %d of %d: %s", d.Layer, d.Layers, s)
	}
	if d.Platform == "" {
		return s
	}
	return d.Platform + ": " + s
}

// Compare returns the first thing in which two images of the store differ, as
// one was and the other is: platform by platform, layer by layer, and in a layer
// file by file. It is nil for equal ones.
func (s *Store) Compare(ctx context.Context, was, is v1.Descriptor) (*Difference, error) {
	if was.Digest == is.Digest {
		return nil, nil
	}
	before, err := s.byPlatform(ctx, was)
	if err != nil {
		return nil, err
	}
	after, err := s.byPlatform(ctx, is)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		other, ok := after[name]
		if !ok {
			return &Difference{Platform: name, What: "there is no image of this platform any more"}, nil
		}
		d, err := s.compareImages(ctx, before[name], other)
		if d != nil || err != nil {
			if d != nil {
				d.Platform = name
			}
			return d, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if _, ok := before[name]; !ok {
			return &Difference{Platform: name, What: "there was no image of this platform"}, nil
		}
	}
	return &Difference{What: "the index has other annotations or another order"}, nil
}

func (s *Store) byPlatform(ctx context.Context, desc v1.Descriptor) (map[string]v1.Descriptor, error) {
	list, err := s.Platforms(ctx, desc)
	if err != nil {
		return nil, err
	}
	out := map[string]v1.Descriptor{}
	for _, d := range list {
		name := ""
		if d.Platform != nil {
			name = PlatformOf(d).String()
		}
		out[name] = d
	}
	return out, nil
}

func (s *Store) compareImages(ctx context.Context, was, is v1.Descriptor) (*Difference, error) {
	if was.Digest == is.Digest {
		return nil, nil
	}
	before, bm, err := s.image(was)
	if err != nil {
		return nil, err
	}
	after, am, err := s.image(is)
	if err != nil {
		return nil, err
	}
	for i := range min(len(bm.Layers), len(am.Layers)) {
		if bm.Layers[i].Digest == am.Layers[i].Digest {
			continue
		}
		d, err := compareLayers(ctx, before, bm.Layers[i].Digest, after, am.Layers[i].Digest)
		if d != nil {
			d.Layer, d.Layers = i+1, len(bm.Layers)
		}
		return d, err
	}
	if len(bm.Layers) != len(am.Layers) {
		return &Difference{What: fmt.Sprintf("it had %s and has %d", plain.Count(len(bm.Layers), "layer", "layers"), len(am.Layers))}, nil
	}
	old, err := before.RawConfigFile()
	if err != nil {
		return nil, err
	}
	now, err := after.RawConfigFile()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(old, now) {
		return &Difference{What: "configuration: " + jsonDifference(old, now)}, nil
	}
	return &Difference{What: "the manifest has other annotations"}, nil
}

func (s *Store) image(desc v1.Descriptor) (v1.Image, *v1.Manifest, error) {
	img, err := s.Image(desc)
	if err != nil {
		return nil, nil, err
	}
	m, err := img.Manifest()
	return img, m, err
}

// A packed is one entry of a layer: all that is said of it, and its content.
type packed struct{ header, sum string }

func compareLayers(ctx context.Context, a v1.Image, was v1.Hash, b v1.Image, is v1.Hash) (*Difference, error) {
	names, before, err := unpack(ctx, a, was)
	if err != nil {
		return nil, err
	}
	more, after, err := unpack(ctx, b, is)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		now, ok := after[name]
		switch old := before[name]; {
		case !ok:
			return &Difference{Path: name, What: "is not there any more"}, nil
		case old.sum != now.sum:
			return &Difference{Path: name, What: "has another content"}, nil
		case old.header != now.header:
			return &Difference{Path: name, What: fmt.Sprintf("was %s and is %s", old.header, now.header)}, nil
		}
	}
	for _, name := range more {
		if _, ok := before[name]; !ok {
			return &Difference{Path: name, What: "was not there"}, nil
		}
	}
	return &Difference{What: fmt.Sprintf("the same files are packed otherwise, %s and now %s", was, is)}, nil
}

// unpack reads a layer: the names in order, and what they are.
func unpack(ctx context.Context, img v1.Image, layer v1.Hash) (names []string, entries map[string]packed, err error) {
	l, err := img.LayerByDigest(layer)
	if err != nil {
		return nil, nil, err
	}
	r, err := l.Uncompressed()
	if err != nil {
		return nil, nil, fmt.Errorf("reading layer %s: %w", layer, err)
	}
	defer func() { _ = r.Close() }() // it was only read from
	entries = map[string]packed{}
	t := tar.NewReader(&interruptible{ctx: ctx, r: r})
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return names, entries, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("reading layer %s: %w", layer, err)
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, t); err != nil {
			return nil, nil, fmt.Errorf("reading layer %s: %w", layer, err)
		}
		header := fmt.Sprintf("%s of %d:%d from %s", h.FileInfo().Mode(), h.Uid, h.Gid, h.ModTime.UTC().Format("2006-01-02T15:04:05.999999999Z"))
		if h.Linkname != "" {
			header += " linked to " + plain.Short(h.Linkname)
		}
		for _, k := range slices.Sorted(maps.Keys(h.PAXRecords)) {
			if k != "mtime" && k != "path" && k != "linkpath" {
				header += " " + plain.Short(k) + "=" + plain.Short(h.PAXRecords[k])
			}
		}
		names = append(names, h.Name)
		entries[h.Name] = packed{header, hex.EncodeToString(sum.Sum(nil))}
	}
}

// jsonDifference names the first key, by its path, that two documents have
// different values for.
func jsonDifference(was, is []byte) string {
	var a, b any
	if json.Unmarshal(was, &a) != nil || json.Unmarshal(is, &b) != nil {
		return "it is not JSON"
	}
	return plain.Short(valueDifference("", a, b))
}

func valueDifference(path string, a, b any) string {
	am, aok := a.(map[string]any)
	bm, bok := b.(map[string]any)
	if aok && bok {
		keys := map[string]bool{}
		for k := range am {
			keys[k] = true
		}
		for k := range bm {
			keys[k] = true
		}
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			if d := valueDifference(path+"."+k, am[k], bm[k]); d != "" {
				return d
			}
		}
		return ""
	}
	x, _ := json.Marshal(a) // it was read from JSON
	y, _ := json.Marshal(b)
	if bytes.Equal(x, y) {
		return ""
	}
	return fmt.Sprintf("%s was %s and is %s", path[1:], x, y)
}

// An interruptible reader ends with the context's error once that is done.
type interruptible struct {
	ctx context.Context //nolint:containedctx // lives as long as one copy
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}
