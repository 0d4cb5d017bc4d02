// Actionscache serves the cache of GitHub Actions as runners outside of GitHub have
// it, by the server of nektos/act.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/nektos/act/pkg/artifactcache"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: actionscache DIR")
		os.Exit(2)
	}
	h, err := artifactcache.StartHandler(os.Args[1], "", "127.0.0.1", 0, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, "actionscache:", err)
		os.Exit(1)
	}
	fmt.Println("listening on", h.ExternalURL()+"/")
	end := make(chan os.Signal, 1)
	signal.Notify(end, os.Interrupt, syscall.SIGTERM)
	<-end
	if err := h.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "actionscache:", err)
		os.Exit(1)
	}
}
