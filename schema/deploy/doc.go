// Package deploy writes what runs a function's image elsewhere: [Platforms] has the
// manifests of OpenFaaS, Knative and plain Kubernetes, and the command for Docker.
//
// A manifest names the image by its digest, so that what runs is what was
// built. Equal functions give equal bytes.
package deploy
