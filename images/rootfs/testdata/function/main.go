// Command function is what the machines of tests run: it says over HTTP where it finds itself, and how it ended on its console.
package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
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
	fmt.Println(http.ListenAndServe(":8080", nil))
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
