// Command function is what the machines of tests run: it says over HTTP where it finds itself, and how it ended on its console.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	switch len(os.Args) {
	case 2: // a process that leaves another one behind
		cmd := exec.Command("/proc/self/exe", "left", "behind")
		if err := cmd.Start(); err != nil {
			fmt.Print(err)
		}
		fmt.Print(cmd.Process.Pid)
		return
	case 3:
		return
	}
	stops := make(chan os.Signal, 1)
	signal.Notify(stops, syscall.SIGTERM)
	go func() {
		<-stops
		fmt.Println("the function was asked to end")
		os.Exit(7)
	}()
	http.HandleFunc("/", answer)
	http.HandleFunc("/short", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "answers") })
	l, err := net.Listen("tcp", ":8080")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("listening on", l.Addr())
	fmt.Println(http.Serve(l, nil))
}

func answer(w http.ResponseWriter, r *http.Request) {
	host, _ := os.Hostname()
	names, _ := os.ReadFile("/etc/resolv.conf")
	dir, _ := os.Getwd()
	fmt.Fprintf(w, "image %s\ncommand line %s\nuser %d:%d\nfolder %s\nhost %s\n%s", os.Getenv("IMAGE"), os.Getenv("LINE"), os.Getuid(), os.Getgid(), dir, host, names)
	mounts, _ := os.ReadFile("/proc/mounts")
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); f[1] == "/" && f[0] != "rootfs" || f[1] == "/tmp" {
			how, _, _ := strings.Cut(f[3], ",")
			fmt.Fprintf(w, "%s is %s, %s\n", f[1], f[2], how)
		}
	}
	switch err := os.WriteFile("/home/app/file", nil, 0o600); {
	case err == nil:
		fmt.Fprintln(w, "home can be written")
	case errors.Is(err, syscall.EROFS):
		fmt.Fprintln(w, "home cannot be written")
	default:
		fmt.Fprintln(w, "home:", err)
	}
	fmt.Fprintln(w, "orphan", orphan())
	if line, _ := os.ReadFile("/proc/cmdline"); strings.Contains(string(line), "fnb.vsock=8080") {
		fmt.Fprintln(w, "vsock", vsock())
	}
}

// vsock asks this function by the machine's own vsock.
func vsock() string {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err.Error()
	}
	if err := unix.Connect(fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_LOCAL, Port: 8080}); err != nil {
		return err.Error()
	}
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	if _, err := f.WriteString("GET /short HTTP/1.0\r\n\r\n"); err != nil {
		return err.Error()
	}
	all, err := io.ReadAll(f) // to the end, which has to come through too
	if err != nil {
		return err.Error()
	}
	_, body, _ := strings.Cut(string(all), "\r\n\r\n")
	return body
}

// orphan leaves a process to process 1, which must see it off.
func orphan() string {
	out, err := exec.Command("/proc/self/exe", "leave").Output()
	if err != nil {
		return err.Error()
	}
	for range 3000 {
		if _, err := os.Stat("/proc/" + string(out)); err != nil {
			return "gone"
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "there: " + string(out)
}
