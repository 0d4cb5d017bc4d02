package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// runFunction is a function's process, as the tests' fprocess runs it.
func runFunction(kind string, args []string) int {
	go endWithParent()
	switch kind {
	case "idle":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		<-stop
		return 0
	case "server", "late", "stubborn", "graceful":
		return runServer(kind, args[0])
	case "args":
		_ = json.NewEncoder(os.Stdout).Encode(args) // the test sees it
	case "cat":
		_, _ = io.Copy(os.Stdout, os.Stdin) // the test sees it
	case "env":
		fmt.Print(strings.Join(os.Environ(), "\n"))
	case "fail":
		_, _ = io.Copy(io.Discard, os.Stdin) // the test sees it
		fmt.Print("partial")
		fmt.Fprintln(os.Stderr, "something broke")
		return 3
	case "silentfail":
		return 1
	case "hang":
		fmt.Print("begun")
		time.Sleep(time.Minute)
	case "hangfamily":
		child := exec.Command("sleep", "60")
		child.Stdout = os.Stdout
		_ = child.Start() // the test sees it
		fmt.Fprintln(os.Stderr, "child", child.Process.Pid)
		time.Sleep(time.Minute)
	case "drip":
		for i := range 3 {
			fmt.Println("drop", i)
			time.Sleep(200 * time.Millisecond)
		}
	case "sink":
		fmt.Print("done") // without reading its input
	case "exit":
		code, _ := strconv.Atoi(args[0])
		time.Sleep(300 * time.Millisecond)
		return code
	}
	return 0
}

// endWithParent ends the process when the watchdog that started it was killed, as a container would.
// One that was dead before this begins is known by the test's temporary folder, which goes.
func endWithParent() {
	_, err := os.Stat(os.TempDir())
	there := err == nil // or the test is about one that is not
	for parent := os.Getppid(); os.Getppid() == parent; {
		time.Sleep(500 * time.Millisecond)
		if _, err := os.Stat(os.TempDir()); there && err != nil {
			break
		}
	}
	os.Exit(1)
}

// runServer is an HTTP function.
func runServer(kind, address string) int {
	if kind == "late" {
		time.Sleep(700 * time.Millisecond)
	}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return serveFunctionOn("unix", path, kind)
	}
	return serveFunctionOn("tcp", address, kind)
}

func serveFunctionOn(network, address, kind string) int {
	l, err := net.Listen(network, address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 9
	}
	s := &http.Server{Handler: functionHandler(), ReadHeaderTimeout: time.Minute}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		fmt.Fprintln(os.Stderr, "function got SIGTERM")
		if kind == "stubborn" {
			return
		}
		_ = s.Close() // it ends here
	}()
	_ = s.Serve(l) // it ends with Close
	return 0
}

// seen is a request as the function saw it.
type seen struct {
	Method, URI, Host, Body string
	Header, Trailer         http.Header
	Length                  int64
	Encoding                []string
	Pid                     int
}

func functionHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "Hello, world") })
	mux.HandleFunc("/see", see)
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/1
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		buf := make([]byte, 32<<10)
		for {
			n, err := r.Body.Read(buf)
			if _, werr := w.Write(buf[:n]); werr != nil || err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.PathValue("code"))
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
	})
	mux.HandleFunc("/slow/{ms}", func(w http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.Atoi(r.PathValue("ms"))
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
			_, _ = io.WriteString(w, "slow")
		case <-r.Context().Done():
			fmt.Fprintln(os.Stderr, "function saw its client go")
		}
	})
	mux.HandleFunc("/stream/{n}", streamLines)
	mux.HandleFunc("/big/{bytes}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.ParseInt(r.PathValue("bytes"), 10, 64)
		w.Header().Set("Content-Length", r.PathValue("bytes"))
		_, _ = io.CopyN(w, zeros{}, n) // the client may go away
	})
	mux.HandleFunc("/count", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	})
	mux.HandleFunc("/early", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, "too large")
	})
	mux.HandleFunc("/trailer", answerTrailer)
	mux.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.Header().Set("X-Final", "yes")
		_, _ = io.WriteString(w, "final")
	})
	mux.HandleFunc("/ws", upgradeEcho)
	mux.HandleFunc("/log/{bytes}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.PathValue("bytes"))
		fmt.Fprintln(os.Stderr, strings.Repeat("x", n))
		fmt.Fprintln(os.Stdout, "after the long line")
	})
	mux.HandleFunc("/say", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		fmt.Println(string(text))
	})
	mux.HandleFunc("/exit/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.PathValue("code"))
		os.Exit(code)
	})
	mux.HandleFunc("/environment/{name}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, os.Getenv(r.PathValue("name")))
	})
	mux.HandleFunc("/orphan", func(w http.ResponseWriter, r *http.Request) {
		out, err := exec.Command("sh", "-c", "sleep 0.2 & echo $!").Output()
		fmt.Fprintf(w, "%s%v", out, err)
	})
	return mux
}

func see(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Add("Set-Cookie", "a=1")
	w.Header().Add("Set-Cookie", "b=2")
	_ = json.NewEncoder(w).Encode(seen{
		Method: r.Method, URI: r.RequestURI, Host: r.Host, Body: string(body), Header: r.Header, Trailer: r.Trailer,
		Length: r.ContentLength, Encoding: r.TransferEncoding, Pid: os.Getpid(),
	})
}

func streamLines(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.PathValue("n"))
	w.Header().Set("Content-Type", r.Header.Get("Accept"))
	for i := range n {
		fmt.Fprintf(w, "data: %d\n\n", i)
		w.(http.Flusher).Flush()
		select {
		case <-time.After(150 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
}

func answerTrailer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", "X-Announced")
	_, _ = io.WriteString(w, "body")
	w.Header().Set("X-Announced", "one")
	w.Header().Set(http.TrailerPrefix+"X-Unannounced", "two")
}

// upgradeEcho switches to a protocol that answers each line with itself.
func upgradeEcho(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "echo" {
		http.Error(w, "upgrade to echo", http.StatusUpgradeRequired)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close() //nolint:errcheck // it ends here
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Extra: 1\r\n\r\n")
	for lines := bufio.NewScanner(rw); lines.Scan(); {
		if _, err := fmt.Fprintln(conn, lines.Text()); err != nil {
			return
		}
	}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
