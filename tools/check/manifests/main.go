// Command manifests reads Kubernetes and Knative manifests from standard input
// and reports what the API would refuse: unknown fields and wrong types by
// Kubernetes' own Go types, names and labels by its own validation. The
// outermost fields of a Knative Service are from its API reference (serving v1);
// what they hold is Kubernetes' again.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// A knativeService is a Service of serving.knative.dev/v1.
type knativeService struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Template struct {
			metav1.ObjectMeta `json:"metadata"`
			Spec              struct {
				corev1.PodSpec              `json:",inline"`
				ContainerConcurrency        *int64 `json:"containerConcurrency"`
				TimeoutSeconds              *int64 `json:"timeoutSeconds"`
				ResponseStartTimeoutSeconds *int64 `json:"responseStartTimeoutSeconds"`
				IdleTimeoutSeconds          *int64 `json:"idleTimeoutSeconds"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

func main() {
	n, err := check(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		os.Exit(1)
	}
	fmt.Println("manifests:", n, "well")
}

// check reads documents until the end and returns how many there were.
func check(in io.Reader) (int, error) {
	docs := utilyaml.NewYAMLReader(bufio.NewReader(in))
	for n := 0; ; n++ {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			if n == 0 {
				return 0, errors.New("no document")
			}
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if err := checkOne(doc); err != nil {
			return n, fmt.Errorf("document %d: %w", n+1, err)
		}
	}
}

func checkOne(doc []byte) error {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal(doc, &head); err != nil {
		return err
	}
	switch head.APIVersion + " " + head.Kind {
	case "apps/v1 Deployment":
		d := &appsv1.Deployment{}
		if err := yaml.UnmarshalStrict(doc, d); err != nil {
			return err
		}
		if d.Spec.Selector == nil || len(d.Spec.Template.Spec.Containers) == 0 {
			return errors.New("a Deployment needs a selector and containers")
		}
		for k, v := range d.Spec.Selector.MatchLabels {
			if d.Spec.Template.Labels[k] != v {
				return fmt.Errorf("the selector's %s=%s is not a label of the pods", k, v)
			}
		}
		return names(d.Name, d.Spec.Template.Labels)
	case "autoscaling/v2 HorizontalPodAutoscaler":
		h := &autoscalingv2.HorizontalPodAutoscaler{}
		if err := yaml.UnmarshalStrict(doc, h); err != nil {
			return err
		}
		if h.Spec.ScaleTargetRef.Name == "" || len(h.Spec.Metrics) == 0 || h.Spec.MinReplicas == nil || h.Spec.MaxReplicas < *h.Spec.MinReplicas {
			return errors.New("an autoscaler needs a target, metrics, and a range of replicas")
		}
		return names(h.Name, h.Labels)
	case "v1 Service":
		s := &corev1.Service{}
		if err := yaml.UnmarshalStrict(doc, s); err != nil {
			return err
		}
		return names(s.Name, s.Labels)
	case "serving.knative.dev/v1 Service":
		s := &knativeService{}
		if err := yaml.UnmarshalStrict(doc, s); err != nil {
			return err
		}
		if n := len(s.Spec.Template.Spec.Containers); n != 1 {
			return fmt.Errorf("%d containers", n)
		}
		if n := len(s.Spec.Template.Spec.Containers[0].Ports); n > 1 {
			return fmt.Errorf("%d ports: a Knative container has one", n)
		}
		return names(s.Name, s.Spec.Template.Labels)
	}
	return fmt.Errorf("%s %s is not known here", head.APIVersion, head.Kind)
}

// names checks what the API server would refuse.
func names(name string, labels map[string]string) error {
	problems := validation.IsDNS1035Label(name)
	for k, v := range labels {
		problems = append(problems, validation.IsQualifiedName(k)...)
		problems = append(problems, validation.IsValidLabelValue(v)...)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%s: %v", name, problems)
	}
	return nil
}
