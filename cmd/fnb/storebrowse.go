package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
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
		Long: `Browse serves a web page with all templates and functions that can be used by name here. They are those of the project, of fnb itself, and of the stores that were added. It prints the page's address and serves it until it is interrupted. At the end of the address is a key, which is new each time. Other users of the machine reach the page as well, and without the key they see nothing. The browser keeps it as a cookie.

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
		return usagef("fnb store browse", "--listen %s: it must be HOST:PORT", plain.Line(req.listen))
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
