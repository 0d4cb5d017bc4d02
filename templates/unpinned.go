package templates

import (
	"slices"
	"strings"
)

// Unpinned returns what a Dockerfile reads, with the given build args, that no
// lock pins, so that equal files need not make equal images: base images that
// only the builder can name, and what ADD fetches without a checksum, or may fetch,
// where a variable says from where.
func Unpinned(data []byte, args map[string]string) ([]string, error) {
	d, err := readDockerfile("Dockerfile", data, args)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, ref := range d.summary().Bases {
		if strings.Contains(ref, "$") && !strings.Contains(ref, "@sha256:") {
			out = append(out, ref)
		}
	}
	for _, s := range d.stages {
		for _, a := range s.added {
			out = append(out, a.name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
