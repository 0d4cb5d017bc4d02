package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/store"
	"fnb/store/site"
)

// tryPatience is how long a function that is tried on the page may take, with
// pulling it.
const tryPatience = 3 * time.Minute

type browseRequest struct {
	listen string
	open   bool
}

func newStoreBrowse(g *globals) *cobra.Command {
	req := browseRequest{}
	cmd := &cobra.Command{
		Use:   "browse",
		Short: "show templates and functions as a web page",
		Long: `Browse serves a web page with all templates and functions that can be used by name here: those of the project, those that are part of fnb, and those of the stores that were added. It prints the page's address and serves it until it is interrupted. At the end of the address is a key, which is new each time: other users of the machine reach the page as well, and without the key they see nothing. The browser keeps it as a cookie.

A published function can be tried on its page: it runs in the builder, as with fnb store try. The page is for this machine only. With --listen and another address it can be reached from elsewhere, not encrypted; then no function can be tried from it. The page loads nothing from elsewhere; the files of a template are fetched when its page is opened.`,
		Example: "  # serve it, and open it in the browser\n  fnb store browse --open\n\n" +
			"  # always at the same address\n  fnb store browse --listen 127.0.0.1:7070",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return g.browseStore(cmd.Context(), req) },
	}
	cmd.Flags().StringVar(&req.listen, "listen", "127.0.0.1:0", "serve at `HOST:PORT`; with port 0 at one that is free")
	cmd.Flags().BoolVar(&req.open, "open", false, "open the page in the browser")
	return cmd
}

func (g *globals) browseStore(ctx context.Context, req browseRequest) error {
	if _, _, err := net.SplitHostPort(req.listen); err != nil {
		return usagef("fnb store browse", "--listen %s: it has to be HOST:PORT", plain.Line(req.listen))
	}
	st, where, err := g.storeHere()
	if err != nil {
		return err
	}
	where.Lock = nil // what the stores have is shown, whatever the project uses
	intro, err := g.browseIntro()
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", req.listen)
	if err != nil {
		return fmt.Errorf("serving the page: %w", err)
	}
	opts := site.Options{
		About: site.About{Intro: intro}, Source: site.Stores{Store: st, Where: where, Deploy: siteDeployments},
		Hosts: site.HostsOf(req.listen, listener.Addr()), Key: rand.Text(),
	}
	if tcp, ok := listener.Addr().(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		opts.Try = g.tryOnPage
	} else {
		fmt.Fprintf(g.err, "fnb: warning: %s can be reached from other machines, and nothing is encrypted: whoever has or sees the key can read what your stores have; no function can be tried there\n", listener.Addr())
	}
	handler, err := site.New(opts)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	return g.serveSite(ctx, req, listener, handler)
}

// browseIntro says where the entries are from.
func (g *globals) browseIntro() (string, error) {
	st, err := g.newStore()
	if err != nil {
		return "", err
	}
	all, err := st.Stores()
	if err != nil {
		return "", err
	}
	names := []string{"fnb itself"}
	for _, c := range all {
		names = append(names, c.Name)
	}
	if len(names) == 1 {
		return "All that is part of fnb. Add a store with fnb store add NAME URL, and its entries are here too.", nil
	}
	return "All that you can use by name here, from " + strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1] + ".", nil
}

// serveSite serves the page until the context ends. What has been asked by then is
// answered.
func (g *globals) serveSite(ctx context.Context, req browseRequest, listener net.Listener, handler *site.Handler) error {
	address := handler.Enter("http://" + listener.Addr().String() + "/")
	if g.json {
		if err := g.printJSON(map[string]string{"url": address}); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(g.out, address)
	}
	if req.open {
		remove, err := openBrowser(ctx, address)
		if err != nil {
			fmt.Fprintf(g.err, "fnb: note: the browser was not opened: %v\n", err)
		}
		defer remove()
	}
	server := &http.Server{
		Handler: handler, BaseContext: func(net.Listener) context.Context { return ctx }, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving the page: %w", err)
	case <-ctx.Done():
	}
	wait, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	if err := server.Shutdown(wait); err != nil {
		return errors.Join(server.Close(), ctx.Err())
	}
	return nil
}

// tryOnPage runs a published function with a request that the page has sent, and
// ends it.
func (g *globals) tryOnPage(ctx context.Context, name string, request schema.Example) (site.Answer, error) {
	ctx, stop := context.WithTimeout(ctx, tryPatience)
	defer stop()
	st, err := g.newStore()
	if err != nil {
		return site.Answer{}, err
	}
	found, _, err := st.Function(ctx, name, store.Where{}) // its page has the notes
	if err != nil {
		return site.Answer{}, err
	}
	if found.Record.Image == nil {
		return site.Answer{}, errors.New("it is part of fnb as source, and has no image")
	}
	f, err := g.published(ctx, found.Record, &tryOptions{})
	if err != nil {
		return site.Answer{}, err
	}
	client, err := g.connect(ctx)
	if err != nil {
		return site.Answer{}, err
	}
	defer func() { _ = client.Close() }() // nothing is asked of it any more
	if f.platform, err = choosePlatform(ctx, client, found.Record.RunsOn()); err != nil {
		return site.Answer{}, err
	}
	running, err := g.startPublished(ctx, client, f)
	if err != nil {
		return site.Answer{}, err
	}
	defer running.Close()
	start := time.Now()
	status, answer, err := send(ctx, running.Transport(), request)
	if err != nil {
		return site.Answer{}, err
	}
	line := fmt.Sprintf("%d %s in %d ms", status, http.StatusText(status), time.Since(start).Milliseconds())
	return site.Answer{Line: line, Body: answer}, nil
}

// openBrowser asks the desktop to show a page. The address has a key, and every user
// of the machine sees a command's arguments: what is opened is a file that only this
// user can read, and that leads to the page. Remove is to be called at the end.
func openBrowser(ctx context.Context, address string) (remove func(), err error) {
	dir, err := os.MkdirTemp("", "fnb-browse-")
	if err != nil {
		return func() {}, err
	}
	remove = func() { _ = os.RemoveAll(dir) } // what is left of it is the system's to clean
	file := filepath.Join(dir, "store.html")
	door := fmt.Sprintf("<!doctype html><meta charset=utf-8><meta name=referrer content=no-referrer><meta http-equiv=refresh content=\"0; url=%[1]s\"><title>fnb store</title><a href=\"%[1]s\">Open the store</a>\n", html.EscapeString(address))
	if err := os.WriteFile(file, []byte(door), 0o600); err != nil {
		return remove, err
	}
	command := []string{"xdg-open", file}
	switch runtime.GOOS {
	case "darwin":
		command = []string{"open", file}
	case "windows":
		command = []string{"rundll32", "url.dll,FileProtocolHandler", file}
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), command[0], command[1:]...)
	if err := cmd.Start(); err != nil {
		return remove, err
	}
	go func() { _ = cmd.Wait() }() // it says nothing that matters here
	return remove, nil
}

// siteDeployments are the ways of running a function elsewhere, as its page shows
// them.
func siteDeployments(rec schema.Record) []site.Command {
	if rec.Image == nil {
		return nil
	}
	titles := map[string]string{asDocker: "docker run", "kubernetes": "Kubernetes", "knative": "Knative Service", "openfaas": "OpenFaaS Function"}
	var all []site.Command
	if image, err := pullReference(rec); err == nil {
		all = append(all, site.Command{Title: "docker pull", Text: "docker pull " + image})
	}
	for _, way := range deployments() {
		text, err := deployment(rec, way)
		if err != nil {
			continue // the terminal says why
		}
		all = append(all, site.Command{Title: cmp.Or(titles[way], way), Text: strings.TrimSpace(text)})
	}
	return all
}
