package main

import (
	"errors"
	"strings"
	"time"

	"fnb/internal/plain"
	"fnb/rollout"
)

// deployHints say what to type if a platform does not run a function.
func deployHints(err error) []string {
	e, ok := errors.AsType[*rollout.Error](err)
	if !ok {
		return nil
	}
	d, there := errors.AsType[*deployError](err)
	if !there { // the gateway's URL alone is wrong
		d = &deployError{o: &deployOptions{}}
	}
	out := d.reachHints(e)
	if out == nil {
		out = d.functionHints(e)
	}
	if e.Kind == rollout.Pull || e.Kind == rollout.Crash || e.Kind == rollout.Unready || e.Kind == rollout.Silent {
		if d.function.Previous != "" {
			out = append(out, "run the image before again with: fnb deploy "+d.function.Name+d.place()+" --rollback")
		}
	}
	return out
}

// place is where a function is deployed to, as flags of fnb deploy.
func (d *deployError) place() string {
	out := " --to " + d.o.to
	if d.o.gateway.url != "" {
		out += " --gateway " + plain.ShellWord(d.o.gateway.url)
	}
	return out + d.cluster() + d.inNamespace()
}

// cluster is which cluster is meant, as a flag of fnb deploy and of kubectl.
func (d *deployError) cluster() string {
	if d.o.context == "" {
		return ""
	}
	return " --context " + plain.ShellWord(d.o.context)
}

// inNamespace is the function's namespace, as a flag of fnb deploy, kubectl and faas-cli.
func (d *deployError) inNamespace() string {
	if d.namespace == "" {
		return ""
	}
	return " --namespace " + plain.ShellWord(d.namespace)
}

// kubectl is a command that asks about the function's namespace.
func (d *deployError) kubectl(words string) string {
	return "kubectl " + words + d.cluster() + d.inNamespace()
}

// longer is what to type where a platform only needs more time.
func (d *deployError) longer() string {
	return "if it only needs longer, give it more with: --timeout " + strings.TrimSuffix(max(5*time.Minute, 2*d.o.timeout).Round(time.Minute).String(), "0s")
}

// reachHints are about how a platform is reached, and what the user may do there.
func (d *deployError) reachHints(e *rollout.Error) []string {
	gateway := e.Subject != "" && (strings.HasPrefix(e.Subject, "http://") || strings.HasPrefix(e.Subject, "https://"))
	switch e.Kind { //nolint:exhaustive // the others are about a function
	case rollout.NoProgram:
		return []string{"install it as https://kubernetes.io/docs/tasks/tools/ says, and see that it is in PATH with: kubectl version --client"}
	case rollout.NoContext:
		return []string{"see the contexts that there are with: kubectl config get-contexts"}
	case rollout.Plaintext:
		return []string{
			"name it by https://, or lead to it from this machine: kubectl port-forward -n openfaas svc/gateway 8080:8080",
			"if the network between is yours alone, allow it with: --" + gatewayPlaintextFlag,
		}
	case rollout.Unreachable:
		if gateway {
			return []string{"name the gateway with: --gateway URL, or lead to it with: kubectl port-forward -n openfaas svc/gateway 8080:8080"}
		}
		if d.o.context != "" {
			return []string{"see whether the cluster answers: kubectl cluster-info" + d.cluster()}
		}
		return []string{"see which cluster kubectl means with: kubectl config current-context, and whether it answers: kubectl cluster-info"}
	case rollout.Unanswered:
		if gateway {
			return []string{"see whether it answers at all with: curl --max-time 10 " + plain.ShellWord(e.Subject+"/healthz"), d.longer()}
		}
		return []string{"see what it waits for with: " + "kubectl version -v=6" + d.cluster(), d.longer()}
	case rollout.Credentials:
		if gateway {
			return []string{"log in with: faas-cli login --gateway " + plain.ShellWord(e.Subject) + ", or give the password with: --password-stdin"}
		}
		return []string{"log in to the cluster again, and see who it takes you for with: kubectl auth whoami" + d.cluster()}
	case rollout.Forbidden:
		if e.Subject == "" {
			return []string{"ask who runs it for the right to deploy there"}
		}
		return []string{"see what you may do there with: " + d.kubectl("auth can-i "+e.Subject) + "; docs/howto/deploy.md has the Role that fnb needs"}
	case rollout.Unavailable:
		return []string{"see whether its parts run with: kubectl get pods --namespace openfaas"}
	case rollout.NotGateway:
		return []string{"name the gateway of OpenFaaS with: --gateway URL, or in OPENFAAS_URL"}
	case rollout.NoNamespace:
		return []string{"make it with: kubectl create namespace " + plain.ShellWord(e.Subject) + d.cluster() + ", or name another one with: --namespace NAME"}
	case rollout.NoResource:
		return []string{"the cluster has no Knative; deploy to plain Kubernetes with: --to kubernetes"}
	}
	return nil
}

// functionHints are about the function and its objects.
func (d *deployError) functionHints(e *rollout.Error) []string {
	name := d.function.Name
	pods := d.kubectl("describe pods --selector app.kubernetes.io/name=" + name)
	logs := "read its log with: " + d.kubectl("logs --selector app.kubernetes.io/name="+name)
	switch d.o.to {
	case "knative":
		pods = d.kubectl("describe pods --selector serving.knative.dev/service=" + name)
		logs = "read its log with: " + d.kubectl("logs --selector serving.knative.dev/service="+name+" --container function")
	case "openfaas":
		logs = "read its log with: faas-cli logs " + name + d.inNamespace()
		if d.o.gateway.url != "" {
			logs += " --gateway " + plain.ShellWord(d.o.gateway.url)
		}
	}
	switch e.Kind { //nolint:exhaustive // the others are about a platform
	case rollout.Conflict:
		return []string{"see what it would take over with: --diff --force-conflicts, and do it with: --force-conflicts"}
	case rollout.Quota:
		return []string{"see what is used with: " + d.kubectl("describe quota") + ", and lower limits and requests of the function in the stack file"}
	case rollout.Admission:
		return []string{"see what the cluster is asked for with: fnb generate " + d.o.to + " " + name}
	case rollout.Pull:
		if d.o.to == "openfaas" {
			return []string{"see whether the registry wants a login of the cluster: https://docs.openfaas.com/reference/private-registries/"}
		}
		return []string{"if the registry wants a login, give the cluster one with: " + d.kubectl("create secret docker-registry") + ", and see how far it comes with: " + pods}
	case rollout.Crash:
		return []string{logs}
	case rollout.Silent:
		return []string{logs, d.longer()}
	case rollout.Unready:
		if d.o.to == "openfaas" {
			return []string{logs, d.longer()}
		}
		return []string{"see what it waits for with: " + pods, d.longer()}
	}
	return nil
}
