package main

import (
	"context"
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

	"fnb/schema"
	"fnb/schema/deploy"
	"fnb/store"
	"fnb/store/site"
)

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
	found, _, err := st.Function(ctx, name, store.Scope{}) // its page has the notes
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
	status, answer, err := caller(running).Send(ctx, request)
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
	var all []site.Command
	if image, err := pullReference(rec); err == nil {
		all = append(all, site.Command{Title: "docker pull", Text: "docker pull " + image})
	}
	for _, way := range deploy.Shown() {
		text, err := deployment(rec, way)
		if err != nil {
			continue // the terminal says why
		}
		all = append(all, site.Command{Title: way.Title, Text: strings.TrimSpace(text)})
	}
	return all
}
