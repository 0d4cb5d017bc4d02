// Command main is a server of the kind that OpenFaaS's golang-middleware has: net/http with
// its limits, a handler and a readiness by a lock file.
package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

func handle(w http.ResponseWriter, r *http.Request) {
	var input []byte
	if r.Body != nil {
		defer r.Body.Close()
		input, _ = io.ReadAll(r.Body)
	}
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(append([]byte("Body: "), input...))
}

func main() {
	s := &http.Server{
		Addr:           "127.0.0.1:8082",
		ReadTimeout:    10 * time.Second,
		WriteTimeout:   10 * time.Second,
		MaxHeaderBytes: 1 << 20,
	}
	var accepting atomic.Bool
	accepting.Store(true)
	http.HandleFunc("/", handle)
	idle := make(chan struct{})
	go func() {
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		<-stop
		accepting.Store(false)
		_ = s.Shutdown(context.Background())
		close(idle)
	}()
	if err := s.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-idle
}
