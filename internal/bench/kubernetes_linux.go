package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fnb/internal/servers"
	"fnb/internal/servers/cluster"
)

// A rivalry is a fleet of two builders in pods of a cluster beside a fleet of two on this machine.
type rivalry struct {
	cluster      *cluster.Cluster
	project      string
	pods, locals string // their addresses
	env          []string
}

const (
	namespace = "build"
	podsAtAll = 2
)

// kubernetesRows starts the builders, and measures with them.
func kubernetesRows(ctx context.Context, r *rig) ([]row, error) {
	v := &rivalry{pods: "kube-pod://?selector=app=buildkitd&namespace=" + namespace}
	c, err := cluster.Start(ctx)
	if err != nil {
		return nil, err
	}
	r.stops = append(r.stops, c.Close)
	v.cluster, v.env = c, append(r.env, c.Env()...)
	for _, host := range append([]string{r.host}, values(r.mirrors)...) {
		if err := c.Reach(host); err != nil {
			return nil, err
		}
	}
	if _, err := c.Kubectl(ctx, "", "create", "namespace", namespace); err != nil {
		return nil, err
	}
	if err := c.StartBuilders(ctx, namespace, podsAtAll, r.mirrors); err != nil {
		return nil, err
	}
	for range podsAtAll {
		b, err := servers.StartBuildkitd(ctx, servers.BuildkitdOptions{Mirrors: r.mirrors})
		if err != nil {
			return nil, err
		}
		r.stops = append(r.stops, b.Close)
		if v.locals != "" {
			v.locals += ","
		}
		v.locals += b.Address
	}
	if v.project, err = r.project("six", nil); err != nil {
		return nil, err
	}
	for i, lang := range []string{"python3", "python3", "python3", "node", "node", "node"} {
		if _, err := r.run(ctx, v.project, r.env, r.fnb, "new", fmt.Sprint("f", i), "--lang", lang, "--prefix", r.host+"/six", "--quiet"); err != nil {
			return nil, err
		}
	}
	return []row{
		{"pods", "six functions, nothing of a cache, two builders in pods", "≤ 1.2 × two on this machine", v.compare},
		{"killed", "the same in pods, one of which is deleted half way", "≤ 15 s more", v.loseOne},
	}, nil
}

// build makes the six functions anew.
func (v *rivalry) build(ctx context.Context, r *rig, builders string) error {
	_, err := r.run(ctx, v.project, v.env, r.fnb, "build", "--push", "--quiet", "--no-cache", "--builder", builders)
	return err
}

func (v *rivalry) compare(ctx context.Context, r *rig) (result, error) {
	m, err := race(r.rounds,
		contender{name: "pods", do: func() error { return v.build(ctx, r, v.pods) }},
		contender{name: "this machine's", do: func() error { return v.build(ctx, r, v.locals) }})
	if err != nil {
		return result{}, err
	}
	return result{fmt.Sprintf("in pods %.1f s, on this machine %.1f s", m[0], m[1]), m[0] / m[1], 1.2}, nil
}

func (v *rivalry) loseOne(ctx context.Context, r *rig) (result, error) {
	start := time.Now()
	if err := v.build(ctx, r, v.pods); err != nil {
		return result{}, err
	}
	half := time.Since(start) / 2
	whole := func() error { return v.cluster.AwaitBuilders(ctx, namespace) }
	m, err := race(r.rounds,
		contender{"undisturbed", whole, func() error { return v.build(ctx, r, v.pods) }},
		contender{"one is deleted", whole, func() error {
			name, err := v.cluster.Kubectl(ctx, "", "get", "pods", "--namespace="+namespace, "--output=jsonpath={.items[0].metadata.name}")
			if err != nil {
				return err
			}
			lost := make(chan error, 1)
			time.AfterFunc(half, func() {
				_, err := v.cluster.Kubectl(ctx, "", "delete", "pod", name, "--namespace="+namespace, "--force", "--grace-period=0")
				lost <- err
			})
			return errors.Join(v.build(ctx, r, v.pods), <-lost)
		}})
	if err != nil {
		return result{}, err
	}
	return result{fmt.Sprintf("undisturbed %.1f s, one is deleted %.1f s", m[0], m[1]), m[1] - m[0], 15}, nil
}

func values(m map[string]string) (out []string) {
	for _, v := range m {
		out = append(out, v)
	}
	return out
}
