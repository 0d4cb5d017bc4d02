// Command docsite makes a static site of the documents: those of docs, and those at the
// root of the checkout. It works at any address and from a folder, loads nothing from
// elsewhere, and has a search.
//
// Usage:
//
//	docsite [-root DIR] [-o DIR]
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	root := flag.String("root", ".", "read the documents of the checkout in this `folder`")
	out := flag.String("o", "bin/site", "write the site to this `folder`, which is made anew")
	flag.Parse()
	if err := run(*root, *out); err != nil {
		fmt.Fprintln(os.Stderr, "docsite:", err)
		os.Exit(1)
	}
	fmt.Println(*out + "/index.html")
}

func run(root, out string) error {
	s, err := read(os.DirFS(root))
	if err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	return s.write(out)
}
