// Command revision reads a Service of Knative's from standard input, and writes what Knative's webhook and controllers
// make of it, by their own code: it is given its defaults and is validated, and its revision becomes a Deployment whose
// pods have the queue-proxy beside the function. A Service of Kubernetes' leads to the pods of all revisions, where
// Knative's own network would.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	netconfig "knative.dev/networking/pkg/config"
	"knative.dev/pkg/logging"
	"knative.dev/pkg/system"
	apiconfig "knative.dev/serving/pkg/apis/config"
	"knative.dev/serving/pkg/apis/serving"
	v1 "knative.dev/serving/pkg/apis/serving/v1"
	"knative.dev/serving/pkg/deployment"
	"knative.dev/serving/pkg/networking"
	"knative.dev/serving/pkg/observability"
	configuration "knative.dev/serving/pkg/reconciler/configuration/resources"
	"knative.dev/serving/pkg/reconciler/revision/config"
	"knative.dev/serving/pkg/reconciler/revision/resources"
	"sigs.k8s.io/yaml"
)

func main() {
	queue := flag.String("queue", "", "the `image` of the queue-proxy")
	generation := flag.Int64("generation", 1, "which of the service's revisions it is")
	flag.Parse()
	// Where Knative itself would be.
	err := os.Setenv(system.NamespaceEnvKey, "knative-serving")
	if err == nil {
		err = write(context.Background(), os.Stdin, os.Stdout, *queue, *generation)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "revision:", err)
		os.Exit(1)
	}
}

func write(ctx context.Context, in io.Reader, out io.Writer, queue string, generation int64) error {
	raw, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	var service v1.Service
	if err := yaml.UnmarshalStrict(raw, &service); err != nil {
		return err
	}
	service.SetDefaults(ctx)
	if err := service.Validate(ctx); err != nil {
		return errors.New(err.Error()) // a nil one of its type is no nil error
	}
	cfg, err := settings(ctx, queue)
	if err != nil {
		return err
	}
	labels := map[string]string{serving.ServiceLabelKey: service.Name}
	revision := configuration.MakeRevision(ctx, &v1.Configuration{
		ObjectMeta: metav1.ObjectMeta{Name: service.Name, Namespace: service.Namespace, Generation: generation, Labels: labels},
		Spec:       service.Spec.ConfigurationSpec,
	}, time.Now())
	pods, err := resources.MakeDeployment(revision, cfg)
	if err != nil {
		return err
	}
	pods.APIVersion, pods.Kind = "apps/v1", "Deployment"
	pods.OwnerReferences = nil // there are no such objects
	all := json.NewEncoder(out)
	return errors.Join(all.Encode(pods), all.Encode(route(&service)))
}

// settings are those of a Knative that nobody has changed.
func settings(ctx context.Context, queue string) (*config.Config, error) {
	pods, err := deployment.NewConfigFromMap(map[string]string{deployment.QueueSidecarImageKey: queue})
	if err != nil {
		return nil, err
	}
	logs, err := logging.NewConfigFromMap(nil)
	if err != nil {
		return nil, err
	}
	network, err := netconfig.NewConfigFromMap(nil)
	if err != nil {
		return nil, err
	}
	seen, err := observability.NewFromMap(nil)
	if err != nil {
		return nil, err
	}
	return &config.Config{Config: apiconfig.FromContextOrDefaults(ctx), Deployment: pods, Logging: logs, Network: network, Observability: seen}, nil
}

// route is a Service of Kubernetes' in front of all revisions of one of Knative's.
func route(service *v1.Service) corev1.Service {
	return corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: service.Name, Namespace: service.Namespace},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{serving.ServiceLabelKey: service.Name},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(networking.BackendHTTPPort)}},
		},
	}
}
