package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	binary := filepath.Join(dir, "fwatchdog")
	if err := os.WriteFile(binary, []byte("binary"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "layout")
	for _, c := range []struct{ args, want string }{
		{"-o " + out + " linux/amd64=" + binary, ""},
		{"-o " + out, "say where to write"},
		{"linux/amd64=" + binary, "say where to write"},
		{"-o " + out + " linux/amd64", `"linux/amd64" is not PLATFORM=FILE`},
		{"-o " + out + " linux/amd64=" + binary + " linux/amd64=" + binary, "two binaries for linux/amd64"},
		{"-o " + out + " linux/amd64=" + binary + "x", "no such file"},
		{"-x", "flag provided but not defined"},
	} {
		var usage strings.Builder
		err := run(strings.Fields(c.args), &usage)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("mkwatchdog %s: %v, not %q", c.args, err, c.want)
		}
	}
	if _, err := os.Stat(filepath.Join(out, "oci-layout")); err != nil {
		t.Error(err)
	}
}
