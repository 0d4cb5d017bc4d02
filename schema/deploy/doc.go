// Package deploy writes the manifests that run a function's image on a
// platform: OpenFaaS, Knative or plain Kubernetes.
//
// A manifest names the image by its digest, so that what runs is what was
// built. Equal functions give equal bytes.
package deploy
