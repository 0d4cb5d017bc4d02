package main

import (
	"errors"
	"net/url"
	"strings"

	"fnb/builder"
	"fnb/internal/plain"
	"fnb/rollout"
)

// podHints say what to type if the builders in pods of a Kubernetes are not there.
func podHints(err error) []string {
	e, ok := errors.AsType[*builder.UnreachableError](err)
	if !ok {
		return nil
	}
	u, err := url.Parse(e.Address)
	if err != nil || u.Scheme != "kube-pod" || e.Err == nil {
		return nil
	}
	query := u.Query()
	kubectl := func(words string) string {
		for _, key := range []string{"namespace", "context"} {
			if value := query.Get(key); value != "" {
				words += " --" + key + " " + plain.ShellWord(value)
			}
		}
		return "kubectl " + words
	}
	said := e.Err.Error()
	switch kind, subject := rollout.Cause(said); kind { //nolint:exhaustive // the others are about what is deployed
	case rollout.NoContext:
		return []string{"see the contexts that there are with: kubectl config get-contexts"}
	case rollout.Credentials:
		return []string{"log in to the cluster again, and see who it takes you for with: " + kubectl("auth whoami")}
	case rollout.Forbidden:
		return []string{"see what you may do there with: " + kubectl(strings.TrimSpace("auth can-i "+subject)) + "; docs/builder.md has the Role that fnb needs"}
	case rollout.Unreachable:
		return []string{"see which cluster kubectl means with: kubectl config current-context, and whether it answers: kubectl cluster-info"}
	}
	labels := strings.Join(query["selector"], ",")
	switch {
	case labels == "":
		return []string{"see which pods there are, and what they wait for, with: " + kubectl("describe pods")}
	case strings.Contains(said, "of 0 pods with"):
		return []string{"see which pods there are, with their labels, with: " + kubectl("get pods --show-labels")}
	case strings.Contains(said, "none is ready"):
		return []string{"see what they wait for with: " + kubectl("describe pods --selector "+plain.ShellWord(labels))}
	}
	return nil
}
