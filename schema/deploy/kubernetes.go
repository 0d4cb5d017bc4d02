package deploy

import "maps"

// Kubernetes writes a Deployment and the Service in front of it, and where the labels ask for
// a scale an autoscaler.
func Kubernetes(f Function) (Part, error) {
	var p Part
	nodes, err := f.kubernetes()
	if err != nil {
		return p, err
	}
	s, err := f.scale()
	if err != nil {
		return p, err
	}
	pause := f.pauseBeforeStop()
	labels := maps.Clone(f.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels["app.kubernetes.io/name"] = f.Name
	selector := mapping{{key: "app.kubernetes.io/name", value: f.Name}}
	pod := f.pod(podStyle{
		port: mapping{{key: "name", value: "http"}, {key: "containerPort", value: f.port()}},
		probes: mapping{
			{key: "readinessProbe", value: probe("/_/ready", true)},
			{key: "livenessProbe", value: probe("/_/health", true)},
		},
		security: f.security(&p), selector: nodes,
	})
	pod = append(mapping{{key: "terminationGracePeriodSeconds", value: seconds(f.graceful(pause))}}, pod...)
	var spec mapping
	scaler := s.autoscaler(&p, f)
	if scaler == nil && s.min > 0 {
		spec = append(spec, item{key: "replicas", value: s.min})
	}
	spec = append(spec, mapping{
		{key: "selector", value: mapping{{key: "matchLabels", value: selector}}},
		{key: "template", value: mapping{
			{key: "metadata", value: f.podMetadata(labels)},
			{key: "spec", value: pod},
		}},
	}...)
	p.docs = []mapping{{
		{key: "apiVersion", value: "apps/v1"},
		{key: "kind", value: "Deployment"},
		{key: "metadata", value: f.deployed(labels)},
		{key: "spec", value: spec},
	}, {
		{key: "apiVersion", value: "v1"},
		{key: "kind", value: "Service"},
		{key: "metadata", value: f.metadata(labels)},
		{key: "spec", value: mapping{
			{key: "selector", value: selector},
			{key: "ports", value: []mapping{{{key: "name", value: "http"}, {key: "port", value: 80}, {key: "targetPort", value: "http"}}}},
		}},
	}}
	if scaler != nil {
		p.docs = append(p.docs, mapping{
			{key: "apiVersion", value: "autoscaling/v2"},
			{key: "kind", value: "HorizontalPodAutoscaler"},
			{key: "metadata", value: f.metadata(labels)},
			{key: "spec", value: scaler},
		})
	}
	return p, nil
}
