package builder

import (
	"context"
	"io/fs"
)

// What the tests of [builder_test] look at from the inside.

const (
	InlineBytes = inlineBytes
	InlineFiles = inlineFiles
	DialTimeout = dialTimeout
)

// Inline says whether a build context travels inside the LLB, and how many bytes it has.
func Inline(ctx context.Context, fsys fs.FS) (bool, int64, error) {
	bc, err := readContext(ctx, fsys)
	if err != nil {
		return false, 0, err
	}
	return bc.small(), bc.bytes, nil
}

func Observes(dockerfile string) bool { return observes([]byte(dockerfile), nil, "") }

// Lists are the platforms that a builder runs.
func (c *Client) Lists() []string { return c.lists }
