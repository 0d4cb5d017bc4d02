// Package function answers the requests of the table in templates/conformance.
package function

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

const secret = "secret-text"

var (
	routes  = http.NewServeMux()
	started bool
)

func init() {
	if os.Getenv("CONF_FAIL") == "load" {
		panic(secret)
	}
	routes.HandleFunc("/echo", echo)
	routes.HandleFunc("/json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"a": 1, "b": "ü"})
	})
	routes.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(number(r, "code")) })
	routes.HandleFunc("/header/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Join(r.Header.Values(r.PathValue("name")), ","))
	})
	routes.HandleFunc("/cookie", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, strings.Join(r.Header["Cookie"], "; ")) })
	routes.HandleFunc("/query/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Join(r.URL.Query()[r.PathValue("name")], "|"))
	})
	routes.HandleFunc("/method", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Method) })
	routes.HandleFunc("/set-cookies", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1", Path: "/"})
		http.SetCookie(w, &http.Cookie{Name: "b", Value: "2", Path: "/"})
		fmt.Fprint(w, "ok")
	})
	routes.HandleFunc("/many-headers", manyHeaders)
	routes.HandleFunc("/stream", stream)
	routes.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(err)
		}
		fmt.Fprint(w, n)
	})
	routes.HandleFunc("/first", first)
	routes.HandleFunc("/throw", func(http.ResponseWriter, *http.Request) { panic(errors.New(secret)) })
	routes.HandleFunc("/throw-in-stream", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "one piece")
		_ = http.NewResponseController(w).Flush()
		panic(errors.New(secret))
	})
	routes.HandleFunc("/unsendable", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(99) })
	routes.HandleFunc("/async", func(w http.ResponseWriter, _ *http.Request) {
		later := make(chan string)
		go func() { time.Sleep(10 * time.Millisecond); later <- "async" }()
		fmt.Fprint(w, <-later)
	})
	routes.HandleFunc("/started", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, map[bool]string{true: "yes", false: "no"}[started])
	})
	routes.HandleFunc("/package/{version}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, semver.MustParse(r.PathValue("version")).Compare(semver.MustParse("1.9.0")))
	})
	routes.HandleFunc("/slow/{ms}", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Duration(number(r, "ms")) * time.Millisecond)
		fmt.Fprint(w, "slow")
	})
	routes.HandleFunc("/large/{bytes}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Repeat("x", number(r, "bytes")))
	})
	routes.HandleFunc("/body-text", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write(body)
	})
	routes.HandleFunc("/form", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(r.PostForm)
	})
}

// Handle answers by the path.
func Handle(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/path/") { // which a mux would clean
		fmt.Fprint(w, r.URL.Path)
		return
	}
	routes.ServeHTTP(w, r)
}

// Start is called before the first request.
func Start(context.Context) error {
	if err := misbehave("start"); err != nil {
		return err
	}
	started = true
	return nil
}

// Ready says whether the function may be sent requests.
func Ready(context.Context) error {
	if _, err := os.Stat("/tmp/not-ready"); err == nil {
		return errors.New("/tmp/not-ready is there")
	}
	return misbehave("ready")
}

// Stop is called after the last request.
func Stop(context.Context) error {
	if err := misbehave("stop"); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "stopped")
	return nil
}

func misbehave(hook string) error {
	if os.Getenv("CONF_HANG") == hook {
		select {}
	}
	if os.Getenv("CONF_FAIL") == hook {
		return errors.New(secret)
	}
	return nil
}

func number(r *http.Request, name string) int {
	n, err := strconv.Atoi(r.PathValue(name))
	if err != nil {
		panic(err)
	}
	return n
}

func echo(w http.ResponseWriter, r *http.Request) {
	if kind := r.Header.Get("Content-Type"); kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	if _, err := io.Copy(w, r.Body); err != nil {
		panic(err)
	}
}

func manyHeaders(w http.ResponseWriter, r *http.Request) {
	n := 0
	for name := range r.Header {
		if strings.HasPrefix(name, "X-N-") {
			n++
		}
	}
	fmt.Fprint(w, n)
}

func stream(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "data: one\n\n")
	_ = http.NewResponseController(w).Flush()
	time.Sleep(400 * time.Millisecond)
	fmt.Fprint(w, "data: two\n\n")
}

// first answers with the first piece of the body, while the rest is on its way.
func first(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex()
	piece := make([]byte, 1024)
	n, err := r.Body.Read(piece)
	if err != nil && err != io.EOF {
		panic(err)
	}
	_, _ = w.Write(piece[:n])
	_ = control.Flush()
	_, _ = io.Copy(io.Discard, r.Body)
}
