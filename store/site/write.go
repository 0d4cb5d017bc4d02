package site

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sync/errgroup"

	"fnb/internal/plain"
)

// About says what a store is, as its pages show it.
type About struct {
	Name  string // "" is "fnb store"
	Intro string
}

// Write writes the page of a store into the folder dir, for any server of files at
// any address. It works below any path, and mostly without a server. The same
// source gives the same bytes.
func Write(ctx context.Context, dir string, source Source, about About) error {
	s, err := newShell(shell{store: storeName(about), intro: plain.Visible(about.Intro), about: "Made by fnb store index.", static: true})
	if err != nil {
		return err
	}
	items, err := source.Items(ctx)
	if err != nil {
		return err
	}
	w := writer{dir: dir, shell: s, list: newCatalogue(items)}
	if err := w.assets(); err != nil {
		return err
	}
	if err := w.lists(); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * runtime.GOMAXPROCS(0)) // some wait for the network
	for _, i := range items {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			d, err := source.Detail(ctx, i.Kind, i.Name)
			if err != nil {
				return fmt.Errorf("the page of %s: %w", i.Name, err)
			}
			data, err := s.detail(ctx, w.list, d, "../../", detailPage{})
			return w.write(i.path(), data, err)
		})
	}
	return group.Wait()
}

func storeName(a About) string {
	if a.Name == "" {
		return "fnb store"
	}
	return plainItem(Item{Name: a.Name}).Name
}

type writer struct {
	dir   string
	shell *shell
	list  *catalogue
}

func (w writer) write(name string, data []byte, err error) error {
	if err != nil {
		return err
	}
	if !fs.ValidPath(name) {
		return fmt.Errorf("writing %q: it is not a path below the site", name)
	}
	file := filepath.Join(w.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

func (w writer) assets() error {
	entries, err := files.ReadDir("assets")
	if err != nil {
		return err
	}
	for _, e := range entries {
		data, err := files.ReadFile("assets/" + e.Name())
		if err := w.write("assets/"+e.Name(), data, err); err != nil {
			return err
		}
	}
	return nil
}

// lists writes the pages of the list, and the index for the search.
func (w writer) lists() error {
	for n := range w.list.shards() {
		if err := w.write("search/"+strconv.Itoa(n)+".js", w.list.shard(n), nil); err != nil {
			return err
		}
	}
	for n := 1; n <= pagesOf(len(w.list.items)); n++ {
		root := "../"
		if n == 1 {
			root = ""
		}
		data, err := w.shell.list(w.list, query{}, n, root, func(n int) string { return root + pagePath(n) })
		if err := w.write(pagePath(n), data, err); err != nil {
			return err
		}
	}
	data, err := w.shell.gone(w.list, "", "There is no such page", "The address may be of an entry that is not here any more.")
	return errors.Join(w.write("404.html", data, err))
}

// pagePath is where a page of the list is.
func pagePath(n int) string {
	if n == 1 {
		return "index.html"
	}
	return "page/" + strconv.Itoa(n) + ".html"
}
