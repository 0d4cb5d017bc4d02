package builder

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"fnb/internal/plain"
)

// A podSelector is the address kube-pod://?selector=LABELS: the pods of a
// Kubernetes namespace that run a builder.
type podSelector struct {
	labels    string // as kubectl's --selector has it
	namespace string // "" is the current one
	container string // "" is the pod's default one
	context   string // of kubectl; "" is the current one
}

func parseSelector(u *url.URL) (podSelector, error) {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return podSelector{}, err
	}
	s := podSelector{}
	for _, k := range slices.Sorted(maps.Keys(query)) {
		switch k {
		case "selector":
			s.labels = strings.Join(query[k], ",")
		case "namespace":
			s.namespace = query.Get(k)
		case "container":
			s.container = query.Get(k)
		case "context":
			s.context = query.Get(k)
		default:
			return podSelector{}, fmt.Errorf("%q is not one of selector, namespace, container and context", k)
		}
	}
	if s.labels == "" {
		return podSelector{}, errors.New("it names neither a pod, as kube-pod://POD, nor labels, as kube-pod://?selector=app=buildkitd")
	}
	return s, nil
}

// Expand replaces each selector of pods with the addresses of those that are
// ready now, in the order of their names. It asks kubectl, with the caller's
// own rights. The other builders stay as they are, also when a selector finds
// nobody, which is an [*UnreachableError].
func Expand(ctx context.Context, nodes []Options) ([]Options, error) {
	found := make([][]Options, len(nodes))
	errs := make([]error, len(nodes))
	var eg errgroup.Group
	for i, o := range nodes {
		u, err := checkAddress(o.Address)
		if err != nil {
			return nil, err
		}
		if u.Scheme != "kube-pod" || u.Host != "" {
			found[i] = []Options{o}
			continue
		}
		eg.Go(func() error {
			found[i], errs[i] = o.pods(ctx, u)
			return nil
		})
	}
	_ = eg.Wait() // the errors are in errs
	return slices.Concat(found...), errors.Join(errs...)
}

// pods returns an address for each pod that a selector finds.
func (o Options) pods(ctx context.Context, u *url.URL) ([]Options, error) {
	s, err := parseSelector(u)
	if err != nil {
		return nil, fmt.Errorf("builder address %q: %w", o.Address, err)
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(o.Patience, dialTimeout))
	defer cancel()
	raw, err := s.ask(ctx)
	if err != nil {
		return nil, &UnreachableError{Address: o.Address, Err: err}
	}
	names, err := s.choose(raw)
	if err != nil {
		return nil, &UnreachableError{Address: o.Address, Err: err}
	}
	var out []Options
	for _, name := range names {
		pod := o
		pod.Address = s.address(name)
		out = append(out, pod)
	}
	return out, nil
}

// ask has kubectl list the pods.
func (s podSelector) ask(ctx context.Context) ([]byte, error) {
	args := []string{"get", "pods", "--selector=" + s.labels, "--output=json"}
	if s.namespace != "" {
		args = append(args, "--namespace="+s.namespace)
	}
	if s.context != "" {
		args = append(args, "--context="+s.context)
	}
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case err == nil:
		return out, nil
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, ctx.Err()
	case ctx.Err() != nil:
		return nil, errors.New("kubectl does not answer in time")
	case errors.Is(err, exec.ErrNotFound):
		return nil, errors.New("kubectl is not on PATH")
	}
	if lines := plain.Complaint(stderr.String()); len(lines) > 0 {
		return nil, errors.New("kubectl: " + lines[0])
	}
	return nil, fmt.Errorf("kubectl: %w", err)
}

// A podList is what is read of kubectl's answer.
type podList struct {
	Items []struct {
		Metadata struct {
			Name     string  `json:"name"`
			Deletion *string `json:"deletionTimestamp"`
		} `json:"metadata"`
		Spec struct {
			Containers []struct {
				Name string `json:"name"`
			} `json:"containers"`
		} `json:"spec"`
		Status struct {
			Phase      string `json:"phase"`
			Conditions []struct {
				Type   string `json:"type"`
				Status string `json:"status"`
			} `json:"conditions"`
		} `json:"status"`
	} `json:"items"`
}

// choose returns the names of the pods that can build: running, ready, not about
// to end, and with the container that was named. They are sorted, so that two
// runs see the same fleet.
func (s podSelector) choose(raw []byte) ([]string, error) {
	var list podList
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("reading kubectl's list of pods: %w", err)
	}
	var names []string
	for _, pod := range list.Items {
		ready, has := false, s.container == ""
		for _, c := range pod.Status.Conditions {
			ready = ready || c.Type == "Ready" && c.Status == "True"
		}
		for _, c := range pod.Spec.Containers {
			has = has || c.Name == s.container
		}
		if ready && has && pod.Status.Phase == "Running" && pod.Metadata.Deletion == nil {
			names = append(names, pod.Metadata.Name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("of %d pods with %s none is ready", len(list.Items), s.labels)
	}
	slices.Sort(names)
	return names, nil
}

// address is that of one pod.
func (s podSelector) address(pod string) string {
	q := url.Values{}
	for k, v := range map[string]string{"namespace": s.namespace, "container": s.container, "context": s.context} {
		if v != "" {
			q.Set(k, v)
		}
	}
	u := url.URL{Scheme: "kube-pod", Host: pod, RawQuery: q.Encode()}
	return u.String()
}
