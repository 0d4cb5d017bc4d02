package builder

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
)

// engineAddress is where the Docker Engine of a docker:// address listens.
func engineAddress(u *url.URL) (network, address string) {
	switch {
	case u.Host != "":
		return "tcp", u.Host
	case u.Path == "":
		return "unix", "/var/run/docker.sock"
	}
	return "unix", u.Path
}

// An imageStore is where a Docker Engine keeps its images. Which one it is decides what its BuildKit can do with
// an image that it made.
type imageStore string

const (
	storeUnknown    imageStore = ""
	storeContainerd imageStore = "containerd" // from Docker Engine 29 on, and where it is turned on: all that BuildKit has
	storeDrivers    imageStore = "drivers"    // Docker's own: the engine can be given the image, and nothing else
)

// engineStore asks a Docker Engine for its image store. One that says nothing of it is asked for everything.
func engineStore(ctx context.Context, u *url.URL) imageStore {
	network, address := engineAddress(u)
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/info", nil)
	if err != nil {
		return storeUnknown
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return storeUnknown
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	var info struct {
		Driver       string
		DriverStatus [][]string
	}
	const most = 1 << 20
	if res.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(res.Body, most)).Decode(&info) != nil || info.Driver == "" {
		return storeUnknown
	}
	if slices.ContainsFunc(info.DriverStatus, func(row []string) bool {
		return len(row) == 2 && row[0] == "driver-type" && row[1] == "io.containerd.snapshotter.v1"
	}) {
		return storeContainerd
	}
	return storeDrivers
}

// deliverable refuses, before anything is built, what the builder cannot deliver.
func (c *Client) deliverable(out Output) error {
	images := out.Store != "" || len(out.Push) > 0 || out.OCI != nil || out.Docker != nil
	switch {
	case c.store == storeDrivers && images:
		return &ExportError{
			Unsupported: true,
			Problem:     "this builder cannot write images itself: its Docker Engine keeps them in a store of its own, without containerd's",
		}
	case out.Engine && !c.docker:
		return &ExportError{Unsupported: true, Problem: "this builder is no part of a Docker Engine, which could be given the image"}
	}
	return nil
}
