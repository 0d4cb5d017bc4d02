package deploy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// scalePrefix begins the labels that say how OpenFaaS scales a function.
const scalePrefix = "com.openfaas.scale."

// isScale reports whether a label is one of those.
func isScale(label string) bool { return strings.HasPrefix(label, scalePrefix) }

// A scale is what the labels of a function say of how many of it run. Their meaning is OpenFaaS's.
type scale struct {
	min, max   int // 0: nothing is said
	kind       string
	target     string
	zero       bool
	zeroAfter  time.Duration
	proportion float64
	factor     bool
}

// scale reads the labels, and reports all that are wrong.
func (f Function) scale() (scale, error) {
	s := scale{kind: f.Labels[scalePrefix+"type"]}
	var errs []error
	read := func(key, want string, parse func(value string) error) {
		value, ok := f.Labels[scalePrefix+key]
		if ok && parse(value) != nil {
			errs = append(errs, fmt.Errorf("the label %s%s=%q is not a %s", scalePrefix, key, value, want))
		}
	}
	number := func(n *int) func(string) error {
		return func(value string) (err error) {
			*n, err = strconv.Atoi(value)
			if *n < 0 || *n > 1<<20 {
				return strconv.ErrRange
			}
			return err
		}
	}
	target := 0
	read("min", "number of replicas", number(&s.min))
	read("max", "number of replicas", number(&s.max))
	read("target", "number", number(&target))
	read("zero", "true or a false", func(value string) (err error) {
		s.zero, err = strconv.ParseBool(value)
		return err
	})
	read("zero-duration", "duration, such as 5m", func(value string) (err error) {
		s.zeroAfter, err = time.ParseDuration(value)
		return err
	})
	read("target-proportion", "part of 1, such as 0.7", func(value string) (err error) {
		s.proportion, err = strconv.ParseFloat(value, 64)
		if !(s.proportion > 0 && s.proportion <= 1) {
			return strconv.ErrRange
		}
		return err
	})
	_, s.factor = f.Labels[scalePrefix+"factor"]
	if target > 0 {
		s.target = strconv.Itoa(target)
	}
	if s.max > 0 && s.max < s.min {
		errs = append(errs, fmt.Errorf("the label %smax=%d is less than %smin=%d", scalePrefix, s.max, scalePrefix, s.min))
	}
	return s, errors.Join(errs...)
}

// usualUse is the part of its CPU, in percent, at which one more replica is started where the labels name no use of CPU.
const usualUse = 80

// autoscaler is the specification of Kubernetes' own; nil where the number of replicas is fixed.
func (s scale) autoscaler(p *Part, f Function) mapping {
	if s.zero {
		p.note("the label %szero: Kubernetes has always one replica", scalePrefix)
	}
	if s.factor {
		p.note("the label %sfactor: Kubernetes has nothing of the kind", scalePrefix)
	}
	if s.proportion > 0 {
		p.note("the label %starget-proportion: Kubernetes has nothing of the kind", scalePrefix)
	}
	least := max(s.min, 1)
	if s.max <= least {
		return nil
	}
	target := mapping{{key: "type", value: "Utilization"}, {key: "averageUtilization", value: usualUse}}
	switch {
	case s.kind == "cpu" && s.target != "": // in thousandths of a CPU, as OpenFaaS has it
		target = mapping{{key: "type", value: "AverageValue"}, {key: "averageValue", value: s.target + "m"}}
	case s.kind != "" && s.kind != "cpu":
		p.note("the label %stype=%s: Kubernetes' autoscaler counts no requests, and goes by %d %% of the CPU", scalePrefix, s.kind, usualUse)
	}
	if target[0].value == "Utilization" && f.cpu() == "" {
		p.note("the label %smax: Kubernetes' autoscaler measures against the CPU that the stack's requests or limits name, and they name none", scalePrefix)
	}
	return mapping{
		{key: "scaleTargetRef", value: mapping{{key: "apiVersion", value: "apps/v1"}, {key: "kind", value: "Deployment"}, {key: "name", value: f.Name}}},
		{key: "minReplicas", value: least},
		{key: "maxReplicas", value: s.max},
		{key: "metrics", value: []mapping{{
			{key: "type", value: "Resource"},
			{key: "resource", value: mapping{{key: "name", value: "cpu"}, {key: "target", value: target}}},
		}}},
	}
}

// cpu is what a function is sure of; "" is nothing.
func (f Function) cpu() string {
	if f.Requests != nil && f.Requests.CPU != "" {
		return f.Requests.CPU
	}
	if f.Limits != nil {
		return f.Limits.CPU
	}
	return ""
}
