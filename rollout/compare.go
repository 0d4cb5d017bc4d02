package rollout

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"fnb/internal/plain"
	"fnb/schema/deploy"
)

// Diff implements [Target]. Labels and annotations that only the gateway has are its own.
func (g *Gateway) Diff(ctx context.Context, f deploy.Function) (string, error) {
	d, _, err := g.request(ctx, f)
	if err != nil {
		return "", err
	}
	r, err := g.find(ctx, f.Name)
	if err != nil {
		return "", err
	}
	var is map[string]string
	if r != nil {
		ours := func(key string, _ string) bool { _, ok := d.Labels[key]; return !ok }
		maps.DeleteFunc(r.Labels, ours)
		ours = func(key string, _ string) bool { _, ok := d.Annotations[key]; return !ok }
		maps.DeleteFunc(r.Annotations, ours)
		is = values(r.Deployment)
	}
	return compare(f.Name, is, values(d)), nil
}

// values are those of a function, by where they are.
func values(d deploy.Deployment) map[string]string {
	out := map[string]string{"image": d.Image}
	set := func(key, value string) {
		if value != "" {
			out[key] = value
		}
	}
	set("envProcess", d.EnvProcess)
	set("constraints", strings.Join(slices.Sorted(slices.Values(d.Constraints)), ", "))
	set("secrets", strings.Join(slices.Sorted(slices.Values(d.Secrets)), ", "))
	for name, all := range map[string]map[string]string{"envVars": d.EnvVars, "labels": d.Labels, "annotations": d.Annotations} {
		for k, v := range all {
			out[name+"."+k] = v
		}
	}
	for name, q := range map[string]*deploy.Quantities{"limits": d.Limits, "requests": d.Requests} {
		if q != nil {
			set(name+".cpu", q.CPU)
			set(name+".memory", q.Memory)
		}
	}
	if d.ReadOnlyRoot {
		out["readOnlyRootFilesystem"] = "true"
	}
	return out
}

// compare says line by line what is there and what will be.
func compare(name string, is, will map[string]string) string {
	keys := slices.Sorted(maps.Keys(is))
	for k := range will {
		if !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var b strings.Builder
	for _, k := range keys {
		before, was := is[k]
		after, stays := will[k]
		if was && stays && before == after {
			continue
		}
		if was {
			fmt.Fprintf(&b, "-%s: %s\n", shown(k), shown(before))
		}
		if stays {
			fmt.Fprintf(&b, "+%s: %s\n", shown(k), shown(after))
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "--- " + name + "\n+++ " + name + "\n" + b.String()
}

// shown is a value in one line. One that cannot be shown as it is, such as one of several lines, is quoted, so that two that differ
// look different.
func shown(value string) string {
	if plain.Line(value) == value {
		return value
	}
	return plain.Line(strconv.Quote(value)) // which is no command of a CI system either
}
