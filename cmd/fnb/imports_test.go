package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rooms says which rooms each room may import: the table of docs/design.md. A
// package below a room belongs to it.
func rooms() map[string][]string {
	return map[string][]string{
		"origin":           {},
		"schema":           {"origin"},
		"templates":        {"schema"},
		"registry":         {"origin", "schema", "registry/answers", "internal/plain"},
		"registry/answers": {"origin"},
		"gitrepo":          {"internal/plain"},
		"store":            {"origin", "schema", "templates", "registry", "gitrepo", "internal/plain"},
		"store/site":       {"schema", "store", "internal/plain"},
		"packaging":        {"schema", "templates"},
		"builder":          {"schema", "builder/stepnet", "registry/answers", "internal/plain"},
		"builder/stepnet":  {"schema"},
		"schema/deploy":    {"schema"},
		"cmd/fnb":          {"gitrepo", "schema", "schema/deploy", "templates", "registry", "store", "store/site", "packaging", "builder", "internal/start", "internal/plain"},
		"internal/plain":   {},
		"internal/start":   {},
		"cmd/fwatchdog":    {},
		"internal/servers": {},
		"internal/growth":  {},
		"internal/demo":    {"internal/servers"},
		"internal/bench":   {"internal/servers"},
	}
}

// libraries are the outside libraries that only some rooms may use: what they
// bring along belongs there.
func libraries() map[string][]string {
	return map[string][]string{
		"github.com/moby/buildkit/":                  {"builder", "builder/stepnet", "templates", "packaging", "internal/bench"},
		"github.com/go-git/go-git/":                  {"store", "gitrepo"},
		"github.com/spf13/cobra":                     {"cmd/fnb"},
		"github.com/google/go-containerregistry/":    {"registry", "packaging", "cmd/fnb", "internal/servers"},
		"github.com/goccy/go-yaml":                   {"schema"},
		"go.yaml.in/yaml/v3":                         {"schema/deploy"},
		"github.com/yuin/goldmark":                   {"store/site"},
		"github.com/Masterminds/semver/":             {"schema", "store"},
		"github.com/containerd/containerd/v2/":       {"builder", "builder/stepnet"},
		"github.com/distribution/distribution/v3/":   {},
		"github.com/moby/buildkit/client":            {"builder", "internal/bench"},
		"github.com/moby/buildkit/control":           {"builder"},
		"github.com/minio/minio-go/":                 {"builder"},
		"gvisor.dev/gvisor/":                         {"builder/stepnet"},
		"github.com/vishvananda/netlink":             {"builder/stepnet"},
		"github.com/moby/buildkit/frontend/gateway/": {"builder"},
	}
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestImports(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "fnb/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	seen := 0
	for {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		checkImports(t, p)
		seen++
	}
	if seen < len(rooms()) {
		t.Errorf("go list knows %d packages, the table %d rooms", seen, len(rooms()))
	}
}

func checkImports(t *testing.T, p listed) {
	t.Helper()
	room := roomOf(p.ImportPath)
	may, known := rooms()[room]
	if !known {
		t.Errorf("%s is in no room of docs/design.md", p.ImportPath)
	}
	for _, imp := range p.Imports {
		if strings.HasPrefix(imp, "fnb/") {
			if other := roomOf(imp); other != room && !slices.Contains(may, other) {
				t.Errorf("%s imports %s: %s may import %v", p.ImportPath, imp, room, may)
			}
			continue
		}
		for lib, users := range libraries() {
			if strings.HasPrefix(imp, lib) && !slices.Contains(users, room) {
				t.Errorf("%s imports %s, which is for %v", p.ImportPath, imp, users)
			}
		}
	}
}

// roomOf is the room that a package belongs to; "" for none.
func roomOf(path string) string {
	path = strings.TrimPrefix(path, "fnb/")
	longest := "" // store/site is not of store
	for room := range rooms() {
		if (path == room || strings.HasPrefix(path, room+"/")) && len(room) > len(longest) {
			longest = room
		}
	}
	return longest
}
