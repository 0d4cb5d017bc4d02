package rollout

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"fnb/internal/plain"
	"fnb/schema/deploy"
)

// An object is what is read of one of Kubernetes' objects.
type object struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Generation  int64             `json:"generation"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Replicas *int32 `json:"replicas"`
		Template struct {
			Spec struct {
				Containers []struct{ Name, Image string } `json:"containers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
	Status status `json:"status"`
}

// A status is what is read of that of a Deployment, a ReplicaSet, a Service of Knative's and a Pod.
type status struct {
	ObservedGeneration int64             `json:"observedGeneration"`
	Replicas           int32             `json:"replicas"`
	UpdatedReplicas    int32             `json:"updatedReplicas"`
	AvailableReplicas  int32             `json:"availableReplicas"`
	URL                string            `json:"url"`
	Conditions         []condition       `json:"conditions"`
	Containers         []containerStatus `json:"containerStatuses"`
}

type condition struct{ Type, Status, Reason, Message string }

type containerStatus struct {
	Ready bool `json:"ready"`
	State struct {
		Waiting *struct{ Reason, Message string } `json:"waiting"`
		Running *struct{}                         `json:"running"`
	} `json:"state"`
	LastState struct {
		Terminated *struct {
			ExitCode int    `json:"exitCode"`
			Reason   string `json:"reason"`
			Message  string `json:"message"`
		} `json:"terminated"`
	} `json:"lastState"`
}

// image is that of the function's container.
func (o object) image() string {
	all := o.Spec.Template.Spec.Containers
	for _, c := range all {
		if c.Name == "function" {
			return c.Image
		}
	}
	if len(all) == 0 {
		return ""
	}
	return all[0].Image
}

// condition is one of the object's, of a type and a status.
func (o object) condition(kind, is string) (condition, bool) {
	i := slices.IndexFunc(o.Status.Conditions, func(c condition) bool { return c.Type == kind && c.Status == is })
	if i < 0 {
		return condition{}, false
	}
	return o.Status.Conditions[i], true
}

// Wait implements [Target].
func (c *Cluster) Wait(ctx context.Context, f deploy.Function, timeout time.Duration) (string, error) {
	var last object
	err := await(ctx, f.Name, timeout, func(ctx context.Context) (stage, error) {
		all, err := c.list(ctx, f.Name)
		if err != nil {
			return stage{}, err
		}
		for _, o := range all {
			switch o.Kind {
			case "Deployment":
				last = o
				return deployed(o, all), nil
			case "Service":
				last = o
				return served(o), nil
			}
		}
		return stage{why: &Error{Kind: Unready, Subject: f.Name, Text: "it is no longer there"}}, nil
	})
	if c.knative() {
		return plain.Line(last.Status.URL), err
	}
	return fmt.Sprintf("http://%s.%s.svc", f.Name, last.Metadata.Namespace), err
}

// list is what the cluster has of a function: what was applied, and of a Deployment what came of it, as far
// as the user may see that.
func (c *Cluster) list(ctx context.Context, name string) ([]object, error) {
	if c.knative() {
		return c.get(ctx, c.resource, name)
	}
	all, err := c.get(ctx, c.resource, name)
	if err != nil || len(all) == 0 {
		return all, err
	}
	below, err := c.get(ctx, "replicasets.apps,pods", "--selector=app.kubernetes.io/name="+name)
	if err != nil && !is(err, Forbidden) {
		return nil, err
	}
	return append(all, below...), nil
}

// get is what kubectl gets, one object or several.
func (c *Cluster) get(ctx context.Context, what, which string) ([]object, error) {
	out, _, err := c.kubectl(ctx, nil, "get", what, which, "--ignore-not-found", "--output=json")
	if err != nil || len(out) == 0 {
		return nil, err
	}
	var got struct {
		object
		Items []object `json:"items"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		return nil, fmt.Errorf("reading kubectl's answer: %w", err)
	}
	if got.Items != nil || got.Kind == "List" {
		return got.Items, nil
	}
	return []object{got.object}, nil
}

// deployed is how far a Deployment is, as kubectl rollout status has it, and what is in the way.
func deployed(d object, all []object) stage {
	if d.Status.ObservedGeneration < d.Metadata.Generation {
		return stage{}
	}
	wanted := int32(1)
	if d.Spec.Replicas != nil {
		wanted = *d.Spec.Replicas
	}
	s := d.Status
	if s.UpdatedReplicas >= wanted && s.Replicas <= s.UpdatedReplicas && s.AvailableReplicas >= s.UpdatedReplicas {
		return stage{ready: true}
	}
	if c, ok := d.condition("ReplicaFailure", "True"); ok {
		return stage{stuck: true, why: refusal(c.Message)}
	}
	if why := podTrouble(d, all); why != nil {
		return stage{stuck: why.Kind != Unready && why.Kind != Silent, why: why}
	}
	why := &Error{Kind: Unready, Text: fmt.Sprintf("%d of %d pods are new, and %d are available", s.UpdatedReplicas, wanted, s.AvailableReplicas)}
	if c, ok := d.condition("Progressing", "False"); ok {
		return stage{stuck: true, why: why.with(c.Message)}
	}
	return stage{why: why}
}

// podTrouble is what is in the way of the pods that a Deployment has now; nil is nothing that is known.
func podTrouble(d object, all []object) *Error {
	const revision = "deployment.kubernetes.io/revision"
	const hash = "pod-template-hash"
	current := ""
	for _, o := range all {
		if o.Kind == "ReplicaSet" && o.Metadata.Annotations[revision] == d.Metadata.Annotations[revision] {
			current = o.Metadata.Labels[hash]
		}
	}
	var found *Error
	for _, o := range all {
		if o.Kind != "Pod" || o.Metadata.Labels[hash] != current {
			continue
		}
		for _, c := range o.Status.Containers {
			if why := containerTrouble(d, c); why != nil {
				return why
			}
			if c.State.Running != nil && !c.Ready {
				found = &Error{Kind: Silent, Text: "its pod runs, and does not say that it is ready"}
			}
		}
		if c, ok := o.condition("PodScheduled", "False"); ok {
			found = (&Error{Kind: Unready, Text: "no node takes its pod"}).with(c.Message)
		}
	}
	return found
}

func containerTrouble(d object, c containerStatus) *Error {
	waiting := c.State.Waiting
	if waiting == nil {
		return nil
	}
	switch waiting.Reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable":
		return (&Error{Kind: Pull, Subject: d.image(), Text: "its image cannot be pulled"}).with(waiting.Message)
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError":
		return (&Error{Kind: Crash, Text: "its container cannot be started"}).with(waiting.Message)
	case "CrashLoopBackOff":
		why := &Error{Kind: Crash, Text: "it ends each time that it is started"}
		if t := c.LastState.Terminated; t != nil {
			why = why.with(cmp.Or(t.Message, fmt.Sprintf("exit code %d (%s)", t.ExitCode, t.Reason)))
		}
		return why
	}
	return nil
}

// with adds what the cluster says.
func (e *Error) with(said string) *Error {
	if said = plain.Line(plain.Short(said)); said != "" {
		e.Text += ": " + said
	}
	return e
}

// refusal is why the cluster makes no pod.
func refusal(message string) *Error {
	kind, subject := Cause(message)
	return (&Error{Kind: kind, Subject: subject, Text: "the cluster makes no pod of it"}).with(message)
}

// served is how far a Service of Knative's is.
func served(o object) stage {
	if o.Status.ObservedGeneration < o.Metadata.Generation {
		return stage{why: &Error{Kind: Unready, Text: "no controller of Knative's has seen it"}}
	}
	if _, ok := o.condition("Ready", "True"); ok {
		return stage{ready: true}
	}
	if c, ok := o.condition("Ready", "False"); ok {
		kind, subject := Cause(c.Message)
		return stage{stuck: true, why: (&Error{Kind: kind, Subject: subject, Text: "Knative says " + plain.Line(cmp.Or(c.Reason, "no"))}).with(c.Message)}
	}
	c, _ := o.condition("Ready", "Unknown")
	return stage{why: (&Error{Kind: Unready, Text: "it becomes ready"}).with(c.Message)}
}
