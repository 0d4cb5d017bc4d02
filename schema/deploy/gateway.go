package deploy

import (
	"maps"

	"fnb/schema"
	"fnb/schema/words"
)

// A Deployment is a function as OpenFaaS's gateway is told of it: FunctionDeployment of its API.
// What the gateway says of one has the same keys, with its name below "name".
type Deployment struct {
	Service      string            `json:"service,omitempty"`
	Image        string            `json:"image"`
	Namespace    string            `json:"namespace,omitempty"`
	EnvProcess   string            `json:"envProcess"`
	EnvVars      map[string]string `json:"envVars"`
	Constraints  []string          `json:"constraints"`
	Secrets      []string          `json:"secrets"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	Limits       *Quantities       `json:"limits,omitempty"`
	Requests     *Quantities       `json:"requests,omitempty"`
	ReadOnlyRoot bool              `json:"readOnlyRootFilesystem"`
}

// Quantities are how much of a machine a function gets.
type Quantities struct {
	Memory string `json:"memory,omitempty"`
	CPU    string `json:"cpu,omitempty"`
}

// ForGateway is what OpenFaaS's gateway is told of a function, with notes of what it does not take as it
// stands. With kubelet a kubelet reads the variables, which expands $(NAME) in them.
func ForGateway(f Function, kubelet bool) (d Deployment, notes []string, err error) {
	if err := f.checkOpenFaaS(); err != nil {
		return d, nil, err
	}
	var p Part
	f.checkConstraints(&p)
	f.pauseBeforeStop()
	d = Deployment{
		Service: f.Name, Image: f.Image, Namespace: f.Namespace, EnvProcess: f.FProcess, EnvVars: maps.Clone(f.Environment),
		Constraints: list(f.Constraints), Secrets: list(f.Secrets), Labels: orEmpty(f.Labels), Annotations: orEmpty(f.Annotations),
		Limits: quantitiesOf(f.Limits), Requests: quantitiesOf(f.Requests), ReadOnlyRoot: f.ReadOnlyRoot,
	}
	if kubelet {
		d.EnvProcess, d.EnvVars = literal(d.EnvProcess), literals(d.EnvVars)
	}
	if f.Previous != "" {
		d.Annotations[words.AnnotationPrevious] = f.Previous
	}
	return d, p.Notes, nil
}

// list is a list that JSON has also where it is empty, since a gateway keeps what it is not told of.
func list(s []string) []string { return append([]string{}, s...) }

// orEmpty is a copy of a map, which JSON has also where it is empty.
func orEmpty(m map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, m)
	return out
}

func quantitiesOf(r *schema.Resources) *Quantities {
	if r == nil || r.Memory == "" && r.CPU == "" {
		return nil
	}
	return &Quantities{Memory: r.Memory, CPU: r.CPU}
}
