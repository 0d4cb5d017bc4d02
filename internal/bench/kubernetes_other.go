//go:build !linux

package main

import (
	"context"
	"errors"
)

func kubernetesRows(context.Context, *rig) ([]row, error) {
	return nil, errors.New("a Kubernetes of one node needs Linux")
}
