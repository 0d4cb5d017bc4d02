package deploy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Compose writes a service of a Compose file: the function alone, at a port of the machine's loopback, with the rights that a
// function needs, which are none.
func Compose(f Function) (Part, error) {
	var p Part
	err := f.checkAny()
	for _, s := range f.Secrets {
		if !accepted().composeName.MatchString(s) {
			err = errors.Join(err, fmt.Errorf("the secret %q is not a name that Compose takes: it has letters, digits, '.', '-' and '_'", s))
		}
	}
	if err != nil {
		return p, err
	}
	f.leftOut(&p, "Compose", "namespace", "constraints")
	if _, ok := f.Labels[scalePrefix+"min"]; ok {
		p.note("the label %smin: one service has one port of the machine, so that it runs once", scalePrefix)
	}
	pause := f.pause(0) // no balancer is in front
	s := mapping{{key: "image", value: f.Image}}
	s = add(s, "environment", sorted(composed(f.variables())))
	s = add(s, "labels", sorted(composed(f.Labels)))
	s = add(s, "annotations", sorted(composed(f.Annotations)))
	if f.ReadOnlyRoot {
		s = append(s, item{key: "read_only", value: true}, item{key: "tmpfs", value: []string{"/tmp"}})
	}
	s = append(s,
		item{key: "cap_drop", value: []string{"ALL"}},
		item{key: "security_opt", value: []string{"no-new-privileges:true"}},
		item{key: "restart", value: "unless-stopped"},
		item{key: "stop_grace_period", value: strconv.Itoa(seconds(f.graceful(pause))) + "s"},
	)
	var secrets []mapping
	for _, name := range f.Secrets {
		secrets = append(secrets, mapping{{key: "source", value: name}, {key: "target", value: secretsDir + "/" + name}})
		p.in = append(p.in, section{of: "secrets", entry: item{key: name, value: mapping{{key: "file", value: "./" + name}}}})
	}
	s = add(s, "secrets", secrets)
	resources := add(add(nil, "limits", composeResources(memory(f.Limits), cores(f.Limits))), "reservations", composeResources(memory(f.Requests), cores(f.Requests)))
	if resources != nil {
		s = append(s, item{key: "deploy", value: mapping{{key: "resources", value: resources}}})
	}
	p.in = append([]section{{of: "services", entry: item{key: f.Name, value: s}}}, p.in...)
	p.port = f.port()
	return p, nil
}

func composeResources(memory, cores float64) mapping {
	var m mapping
	if cores > 0 {
		m = append(m, item{key: "cpus", value: decimal(cores)})
	}
	if memory > 0 {
		m = append(m, item{key: "memory", value: strconv.FormatInt(int64(memory), 10)})
	}
	return m
}

// composed writes values so that Compose, which replaces $NAME in them, gives them to the process unchanged.
func composed(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = strings.ReplaceAll(v, "$", "$$")
	}
	return out
}

// composePorts gives each service a port of the machine's loopback, from 8080 on.
func composePorts(parts []Part) {
	const first = 8080
	for i, p := range parts {
		if len(p.in) == 0 {
			continue
		}
		service, _ := p.in[0].entry.value.(mapping) // as Compose has made it
		ports := []string{"127.0.0.1:" + strconv.Itoa(first+i) + ":" + strconv.Itoa(p.port)}
		p.in[0].entry.value = append(mapping{service[0], {key: "ports", value: ports}}, service[1:]...)
	}
}
