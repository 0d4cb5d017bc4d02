package builder

import (
	"context"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/schema"
)

// DefaultPlatform returns the platform that the builder makes images for when none
// is asked for.
func (c *Client) DefaultPlatform(ctx context.Context) (schema.Platform, error) {
	workers, err := c.c.ListWorkers(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return schema.Platform{}, ctx.Err()
		}
		return schema.Platform{}, c.unreachable(err)
	}
	for _, w := range workers {
		for _, p := range w.Platforms {
			return schema.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}, nil
		}
	}
	return schema.Platform{}, &UnreachableError{Address: c.address, Err: ErrNoWorkers}
}

// Runs reports whether the builder can run containers of a platform, and whether that
// is the one of its own machine, so that nothing is emulated.
func (c *Client) Runs(ctx context.Context, p schema.Platform) (has, native bool, err error) {
	own, err := c.DefaultPlatform(ctx)
	if err != nil {
		return false, false, err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return false, false, err
	}
	has = slices.Contains(info.Platforms, platformString(ociPlatform(p)))
	return has, has && p.OS == own.OS && p.Architecture == own.Architecture, nil
}

func platformList(ps []schema.Platform) string {
	var names []string
	for _, p := range ps {
		names = append(names, platformString(ociPlatform(p)))
	}
	return strings.Join(names, ",")
}

// UniquePlatforms drops platforms that are named twice, also as linux/arm64 and
// linux/arm64/v8.
func UniquePlatforms(ps []schema.Platform) []schema.Platform {
	var out []schema.Platform
	seen := map[string]bool{}
	for _, p := range ps {
		if s := platformString(ociPlatform(p)); !seen[s] {
			seen[s] = true
			out = append(out, p)
		}
	}
	return out
}

// platformString writes a platform as fnb does everywhere: linux/arm64 without
// its implied variant.
func platformString(p ocispecs.Platform) string {
	return platforms.Format(platforms.Normalize(ocispecs.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}))
}

func ociPlatform(p schema.Platform) ocispecs.Platform {
	return platforms.Normalize(ocispecs.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant})
}

func ociPlatforms(ps []schema.Platform) []ocispecs.Platform {
	var out []ocispecs.Platform
	for _, p := range ps {
		out = append(out, ociPlatform(p))
	}
	return out
}

// PlatformName writes a platform as fnb does everywhere: linux/arm64 without its implied
// variant.
func PlatformName(p schema.Platform) string { return platformString(ociPlatform(p)) }
