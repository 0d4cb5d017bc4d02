package main

import "net/http"

// static is static mode: it serves the files of a folder, and needs no process.
type static struct{ files http.Handler }

func newStatic(c *config) *static {
	return &static{http.FileServer(http.Dir(c.staticPath))}
}

func (s *static) serve(x *exchange, r *http.Request) {
	x.leaveBody()
	s.files.ServeHTTP(x, r)
}
