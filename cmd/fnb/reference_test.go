package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// TestReference checks that docs/reference and docs/man are what the command
// tree says; with -update it writes them.
func TestReference(t *testing.T) {
	for _, v := range []string{"OPENFAAS_PREFIX", "FNB_PREFIX"} {
		t.Setenv(v, "")
	}
	dir := t.TempDir()
	root := newRoot(streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	forDocuments(root)
	for sub, write := range map[string]func(string) error{
		"reference": func(dir string) error { return doc.GenMarkdownTree(root, dir) },
		"man": func(dir string) error {
			date := time.Unix(0, 0).UTC()
			return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "fnb", Manual: "fnb", Date: &date}, dir)
		},
	} {
		out := filepath.Join(dir, sub)
		if err := os.MkdirAll(out, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := write(out); err != nil {
			t.Fatal(err)
		}
		compareTrees(t, out, filepath.Join("..", "..", "docs", sub))
	}
}

// forDocuments takes out of the tree what differs from machine to machine.
func forDocuments(cmd *cobra.Command) {
	cmd.DisableAutoGenTag = true
	if f := cmd.Flags().Lookup("parallel"); f != nil && cmd.Name() == "build" {
		f.DefValue = "CPUs"
	}
	for _, c := range cmd.Commands() {
		forDocuments(c)
	}
}

func compareTrees(t *testing.T, got, want string) {
	t.Helper()
	if *update {
		if err := os.RemoveAll(want); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(want, os.DirFS(got)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(read(t, want), read(t, got)); diff != "" {
		t.Errorf("%s is stale: run make docs\n%s", want, diff)
	}
}

func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(filepath.Join(dir, p))
		out[p] = string(bytes.TrimSpace(raw))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
