package engine

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
)

// address is where the Docker Engine of a docker:// address listens.
func address(u *url.URL) (network, address string) {
	if u.Host != "" {
		return "tcp", u.Host
	}
	return "unix", u.Path
}

// A Store is where a Docker Engine keeps its images. Which one it is decides what its BuildKit can do with
// an image that it made.
type Store string

// The stores that there are.
const (
	Unknown    Store = ""
	Containerd Store = "containerd" // from Docker Engine 29 on, and where it is turned on: all that BuildKit has
	Drivers    Store = "drivers"    // Docker's own: the engine can be given the image, and nothing else
)

// Ask asks a Docker Engine for its image store. One that says nothing of it is asked for everything.
func Ask(ctx context.Context, u *url.URL) Store {
	network, addr := address(u)
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/info", nil)
	if err != nil {
		return Unknown
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return Unknown
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	var info struct {
		Driver       string
		DriverStatus [][]string
	}
	const most = 1 << 20
	if res.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(res.Body, most)).Decode(&info) != nil || info.Driver == "" {
		return Unknown
	}
	if slices.ContainsFunc(info.DriverStatus, func(row []string) bool {
		return len(row) == 2 && row[0] == "driver-type" && row[1] == "io.containerd.snapshotter.v1"
	}) {
		return Containerd
	}
	return Drivers
}
