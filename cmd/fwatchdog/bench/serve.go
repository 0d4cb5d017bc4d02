package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
)

// serveUpstream is the function ("upstream"), the standard library's proxy before it ("proxy"), or a tunnel to it that
// knows nothing of HTTP ("tunnel").
func serveUpstream(kind, address string) error {
	if kind == "tunnel" {
		return serveTunnel(address)
	}
	if kind == "proxy" {
		target, err := url.Parse("http://127.0.0.1:9201")
		if err != nil {
			return err
		}
		p := httputil.NewSingleHostReverseProxy(target)
		p.Transport = &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true}
		return http.ListenAndServe(address, p) //nolint:gosec // on loopback, for a minute
	}
	body := bytes.Repeat([]byte("x"), large)
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("Hello, world")) })
	http.HandleFunc("/down", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(large))
		_, _ = w.Write(body) // wrk complains
	})
	http.HandleFunc("/up", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	http.HandleFunc("/both", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
		text := make([]byte, max(0, r.ContentLength))
		n, _ := io.ReadFull(r.Body, text) // wrk complains of an answer that is too short
		_, _ = w.Write(text[:n])          // the same
	})
	http.HandleFunc("/gib", func(w http.ResponseWriter, r *http.Request) {
		for range 1 << 10 {
			_, _ = w.Write(body) // the client complains
		}
	})
	return http.ListenAndServe(address, nil) //nolint:gosec // on loopback, for a minute
}

// serveTunnel copies bytes both ways between its clients and the upstream, which is the least that can be done for a
// body that has to be read and written.
func serveTunnel(address string) error {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return err
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			return err
		}
		function, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", "127.0.0.1:9201")
		if err != nil {
			return err
		}
		go copyPlain(function, client)
		go copyPlain(client, function)
	}
}

// copyPlain copies with reads and writes alone.
func copyPlain(to io.WriteCloser, from io.Reader) {
	_, _ = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, large/2)) // wrk complains
	_ = to.Close()                                                                                  // either end may end it
}
