package deploy

import (
	"errors"
	"fmt"
	"strings"
)

// OpenFaaS writes a Function of openfaas.com/v1, as OpenFaaS's operator reads
// it. The namespace is openfaas-fn where there is none.
func OpenFaaS(f Function) (Part, error) {
	if err := f.checkOpenFaaS(); err != nil {
		return Part{}, err
	}
	if f.Namespace == "" {
		f.Namespace = "openfaas-fn"
	}
	var p Part
	f.checkConstraints(&p)
	f.pauseBeforeStop()
	spec := mapping{{key: "name", value: f.Name}, {key: "image", value: f.Image}}
	// The operator makes variables of both, in a Deployment.
	spec = add(spec, "handler", literal(f.FProcess))
	spec = add(spec, "environment", sorted(literals(f.Environment)))
	spec = add(spec, "labels", sorted(f.Labels))
	spec = add(spec, "annotations", sorted(f.Annotations))
	spec = add(spec, "constraints", f.Constraints)
	spec = add(spec, "secrets", f.Secrets)
	spec = add(spec, "limits", quantities(f.Limits))
	spec = add(spec, "requests", quantities(f.Requests))
	if f.ReadOnlyRoot {
		spec = append(spec, item{key: "readOnlyRootFilesystem", value: true})
	}
	p.docs = []mapping{{
		{key: "apiVersion", value: "openfaas.com/v1"},
		{key: "kind", value: "Function"},
		{key: "metadata", value: f.metadata(nil)},
		{key: "spec", value: spec},
	}}
	return p, nil
}

// checkOpenFaaS reports all that OpenFaaS would refuse, or would never reach.
func (f Function) checkOpenFaaS() error {
	err := f.check()
	if n := f.port(); n != usualPort {
		err = errors.Join(err, fmt.Errorf("the port %d: OpenFaaS reaches a function at %d alone; leave the variable port out", n, usualPort))
	}
	return err
}

// checkConstraints notes those that OpenFaaS ignores.
func (f Function) checkConstraints(p *Part) {
	for _, c := range f.Constraints {
		if strings.Count(c, "=") != 1 {
			p.note("OpenFaaS takes no constraint but KEY=VALUE, and ignores %q", c)
		}
	}
}
