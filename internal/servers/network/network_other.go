//go:build !linux

package network

import (
	"errors"
	"net"
)

// Reach returns an error: networks of processes need Linux.
func Reach(int, string, func(error)) (net.Listener, error) {
	return nil, errors.New("networks of processes need Linux")
}
