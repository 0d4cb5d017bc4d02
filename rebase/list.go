package rebase

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"fnb/internal/plain"
	"fnb/registry"
	"fnb/schema"
)

// Bounds of a list of images.
const (
	maxList  = 64 << 20 // bytes
	maxNames = 100_000  // images
)

// ReadList reads a list of images: references, one a line, of which those that begin with # are
// remarks; or what kubectl get -o json prints, of which all images of containers are taken.
func ReadList(r io.Reader) ([]string, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxList+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxList {
		return nil, fmt.Errorf("it has more than %d bytes", maxList)
	}
	var refs []string
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		var all any
		if err := json.Unmarshal(raw, &all); err != nil {
			return nil, fmt.Errorf("it begins as JSON does: %w", plain.Error(err))
		}
		refs = inContainers(all, nil, false)
	} else {
		lines := bufio.NewScanner(bytes.NewReader(raw))
		for lines.Scan() {
			if line := strings.TrimSpace(lines.Text()); line != "" && line[0] != '#' {
				refs = append(refs, line)
			}
		}
		if err := lines.Err(); err != nil {
			return nil, err
		}
	}
	slices.Sort(refs)
	refs = slices.Compact(refs)
	if len(refs) > maxNames {
		return nil, fmt.Errorf("it names more than %d images", maxNames)
	}
	for _, ref := range refs {
		if _, err := schema.ParseImageRef(ref); err != nil {
			return nil, err
		}
	}
	if len(refs) == 0 {
		return nil, errors.New("it names no image")
	}
	return refs, nil
}

// inContainers are the images of the containers in a document of Kubernetes.
func inContainers(v any, refs []string, container bool) []string {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			refs = inContainers(e, refs, container)
		}
	case map[string]any:
		if image, ok := v["image"].(string); ok && container && image != "" {
			refs = append(refs, image)
		}
		for key, e := range v {
			refs = inContainers(e, refs, key == "containers" || key == "initContainers")
		}
	}
	return refs
}

// Below are the images of a registry whose repositories begin with a prefix, by their tags: those that
// people gave, and not those that stand for inputs or for lists of what is attached.
func Below(ctx context.Context, c *registry.Client, prefix string) ([]string, error) {
	host, path, _ := strings.Cut(prefix, "/")
	ref, err := schema.ParseImageRef(strings.TrimSuffix(prefix, "/") + "/x")
	if err != nil || ref.Registry != host {
		return nil, fmt.Errorf("%s does not begin with a registry, such as ghcr.io", plain.Quoted(prefix))
	}
	all, err := c.Repositories(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("listing the repositories of %s: %w", host, err)
	}
	var refs []string
	for _, repository := range all {
		rest, ok := strings.CutPrefix(repository, host+"/"+path)
		if !ok || path != "" && !strings.HasSuffix(path, "/") && rest != "" && rest[0] != '/' {
			continue
		}
		tags, err := c.Tags(ctx, repository)
		if _, none := errors.AsType[*registry.NotFoundError](err); none {
			continue // a repository without images may be listed
		}
		if err != nil {
			return nil, err
		}
		for _, tag := range tags {
			if !strings.HasPrefix(tag, "fnb-in-") && !strings.HasPrefix(tag, "sha256-") {
				refs = append(refs, repository+":"+tag)
			}
		}
		if len(refs) > maxNames {
			return nil, fmt.Errorf("more than %d images are below %s", maxNames, prefix)
		}
	}
	if len(refs) == 0 {
		return nil, fmt.Errorf("%s has no image below %s", host, prefix)
	}
	return refs, nil
}
