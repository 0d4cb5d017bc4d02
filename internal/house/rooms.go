package house

import (
	"slices"
	"strings"
)

// Module is the path before each room's.
const Module = "fnb/"

// A Room is a folder of packages with one responsibility. A package below it
// belongs to it, unless it is a room of its own.
type Room struct {
	Path       string   // below the module, with slashes
	MayImport  []string // rooms, sorted; the room itself is not named
	KnowsRooms bool     // may import every room that is no tool of tests
}

// Rooms is the table of rooms, in the order of docs/design.md.
func Rooms() []Room { return append(rooms(), helping()...) }

// rooms are those that do a part of the work.
func rooms() []Room {
	return []Room{
		{Path: "origin"},
		{Path: "schema", MayImport: []string{"internal/disk", "internal/lazyregexp", "internal/spelling", "origin"}},
		{Path: "schema/languages"},
		{Path: "schema/deploy", MayImport: []string{"internal/plain", "schema"}},
		{Path: "policy", MayImport: []string{"schema", "trust"}},
		{Path: "templates", MayImport: []string{"internal/lazyregexp", "schema", "schema/languages"}},
		{Path: "registry", MayImport: []string{"images", "internal/plain", "internal/stall", "origin", "registry/answers", "registry/credentials", "schema"}},
		{Path: "images", MayImport: []string{"internal/disk", "internal/lazyregexp", "internal/plain", "internal/spelling", "schema"}},
		{Path: "images/rootfs"},
		{Path: "trust", MayImport: []string{"internal/lazyregexp", "internal/plain"}},
		{Path: "trust/evidence", MayImport: []string{"registry", "trust"}},
		{Path: "registry/answers", MayImport: []string{"origin"}},
		{Path: "registry/credentials", MayImport: []string{"internal/disk", "internal/lazyregexp", "internal/plain", "origin"}},
		{Path: "gitrepo", MayImport: []string{"internal/plain"}},
		{Path: "store", MayImport: []string{"internal/disk", "internal/plain", "internal/spelling", "origin", "policy", "registry", "schema", "store/cache", "store/git", "store/owners", "store/records", "templates"}},
		{Path: "store/cache", MayImport: []string{"internal/disk", "internal/plain", "origin", "schema", "store/records", "templates"}},
		{Path: "store/credentials", MayImport: []string{"internal/plain", "origin"}},
		{Path: "store/git", MayImport: []string{"gitrepo", "internal/lazyregexp", "internal/plain", "internal/stall", "origin", "store/credentials", "store/gitconfig"}},
		{Path: "store/gitconfig", MayImport: []string{"internal/plain", "origin"}},
		{Path: "store/owners", MayImport: []string{"internal/disk", "internal/plain", "schema", "store/records", "trust"}},
		{Path: "store/publish", MayImport: []string{"gitrepo", "internal/disk", "internal/plain", "registry", "schema", "store", "store/git", "store/owners", "store/records", "templates", "trust"}},
		{Path: "store/records", MayImport: []string{"gitrepo", "internal/plain", "schema", "store/git"}},
		{Path: "store/site", MayImport: []string{"internal/plain", "schema", "schema/languages", "store", "store/records"}},
		{Path: "packaging", MayImport: []string{"internal/disk", "internal/lazyregexp", "schema", "schema/languages", "templates"}},
		{Path: "builder", MayImport: []string{"builder/authority", "builder/buildcache", "builder/buildcontext", "builder/display", "builder/engine", "builder/layertimes", "builder/program", "builder/protocol", "builder/steps", "builder/watchdog", "internal/env", "internal/lazyregexp", "internal/plain", "schema"}},
		{Path: "builder/buildcontext"},
		{Path: "builder/watchdog", MayImport: []string{"builder/buildcontext"}},
		{Path: "builder/protocol"},
		{Path: "builder/program", MayImport: []string{"internal/plain"}},
		{Path: "builder/engine", MayImport: []string{"internal/plain"}},
		{Path: "builder/steps", MayImport: []string{"internal/lazyregexp", "schema"}},
		{Path: "builder/layertimes", MayImport: []string{"internal/lazyregexp"}},
		{Path: "builder/authority"},
		{Path: "builder/buildcache", MayImport: []string{"schema"}},
		{Path: "builder/display", MayImport: []string{"internal/plain"}},
		{Path: "builder/managed", MayImport: []string{"builder", "internal/disk", "internal/private"}},
		{Path: "builder/fleet", MayImport: []string{"builder", "builder/buildcache", "builder/engine", "internal/disk", "schema"}},
		{Path: "builder/containers", MayImport: []string{"builder", "builder/display", "builder/steps", "builder/watchdog", "internal/env", "internal/streams", "internal/terminal", "schema"}},
		{Path: "builder/probe", MayImport: []string{"builder", "builder/containers", "builder/probe/runtimeapi", "internal/plain", "schema"}},
		{Path: "builder/probe/runtimeapi"},
		{Path: "builder/target", MayImport: []string{"builder/engine", "internal/disk", "internal/plain"}},
		{Path: "builder/daemon", MayImport: []string{"builder/authority", "builder/buildcache", "builder/managed", "builder/protocol", "builder/stepnet", "registry/answers", "schema"}},
		{Path: "builder/stepnet", MayImport: []string{"schema"}},
		{Path: "builder/buildertest", MayImport: []string{"builder", "builder/daemon", "builder/display", "builder/managed", "internal/fixture", "internal/servers", "schema"}},
		{Path: "pipeline", MayImport: []string{"audit", "builder", "builder/buildcache", "builder/containers", "builder/display", "builder/fleet", "builder/probe", "builder/steps", "builder/target", "gitrepo", "images", "images/rootfs", "internal/disk", "internal/framing", "internal/lazyregexp", "internal/once", "internal/plain", "internal/private", "internal/spelling", "packaging", "policy", "registry", "sbom", "schema", "schema/languages", "store", "templates", "trust", "trust/evidence"}},
		{Path: "rebase/rebasetest", MayImport: []string{"packaging", "pipeline", "registry", "sbom", "schema", "trust"}},
		{Path: "registry/whole", MayImport: []string{"images", "registry", "schema"}},
		{Path: "rebase", MayImport: []string{"audit/osv", "images", "internal/env", "internal/lazyregexp", "internal/once", "internal/plain", "packaging", "pipeline", "registry", "registry/whole", "sbom", "schema", "trust"}},
		{Path: "audit", MayImport: []string{"audit/osv", "internal/plain", "sbom", "schema"}},
		{Path: "audit/osv", MayImport: []string{"internal/disk", "internal/plain", "internal/stall", "origin"}},
		{Path: "sbom", MayImport: []string{"internal/disk", "internal/lazyregexp", "internal/once", "internal/plain", "schema"}},
		{Path: "rollout", MayImport: []string{"internal/plain", "origin", "schema", "schema/deploy"}},
		{Path: "cmd/fnb", KnowsRooms: true},
		{Path: "cmd/fwatchdog", MayImport: []string{"internal/framing", "internal/streams"}},
		{Path: "cmd/fnbinit"},
	}
}

// helping are those that others need for theirs.
func helping() []Room {
	return []Room{
		{Path: "internal/servers"},
		{Path: "internal/bench", MayImport: []string{"internal/servers"}},
		{Path: "internal/ci", MayImport: []string{"internal/disk", "internal/lazyregexp", "internal/plain", "origin", "schema"}},
		{Path: "internal/demo", MayImport: []string{"internal/servers"}},
		{Path: "internal/docsite"},
		{Path: "internal/released", MayImport: []string{"sbom", "trust"}},
		{Path: "internal/env"},
		{Path: "internal/disk"},
		{Path: "internal/fixture"},
		{Path: "internal/framing"},
		{Path: "internal/growth"},
		{Path: "internal/house"},
		{Path: "internal/lazyregexp"},
		{Path: "internal/once"},
		{Path: "internal/pages"},
		{Path: "internal/plain", MayImport: []string{"internal/lazyregexp"}},
		{Path: "internal/private"},
		{Path: "internal/spelling"},
		{Path: "internal/stall"},
		{Path: "internal/start"},
		{Path: "internal/start/colours"},
		{Path: "internal/streams"},
		{Path: "internal/terminal"},
		{Path: "internal/watch"},
	}
}

// tools are the rooms that only tests and the Makefile use.
func tools() []string {
	return []string{"builder/buildertest", "cmd/fnbinit", "cmd/fwatchdog", "internal/bench", "internal/demo", "internal/docsite", "internal/fixture", "internal/growth", "internal/house", "internal/pages", "internal/released", "internal/servers"}
}

// Libraries says which rooms may import an outside library, by the prefix of its
// packages' paths: what a library brings along belongs there. A library that is
// not in the table is for every room.
func Libraries() map[string][]string {
	return map[string][]string{
		"github.com/BurntSushi/toml":                             {"schema"},
		"github.com/Masterminds/semver/":                         {"policy", "schema", "store", "store/records"},
		"github.com/containerd/containerd/api/":                  {"builder"},
		"github.com/containerd/containerd/v2/":                   {"builder", "builder/daemon", "builder/stepnet", "builder/watchdog"},
		"github.com/containerd/containerd/v2/core/snapshots":     {"builder/daemon"},
		"github.com/containerd/containerd/v2/plugins/snapshots/": {"builder/daemon"},
		"github.com/containerd/fuse-overlayfs-snapshotter/":      {"builder/daemon"},
		"github.com/distribution/reference":                      {"schema"},
		"github.com/distribution/distribution/v3/":               {},
		"github.com/go-git/go-git/":                              {"gitrepo", "store/git", "store/gitconfig"},
		"github.com/gofrs/flock":                                 {"internal/disk", "internal/servers"},
		"github.com/goccy/go-yaml":                               {"schema"},
		"github.com/google/osv-scalibr/":                         {"audit/osv"},
		"github.com/pandatix/go-cvss/":                           {"audit/osv"},
		"github.com/google/go-containerregistry/":                {"builder/buildertest", "cmd/fnb", "images", "images/rootfs", "internal/demo", "internal/fixture", "internal/servers", "packaging", "pipeline", "rebase", "rebase/rebasetest", "registry", "registry/credentials", "registry/whole", "sbom", "trust/evidence"},
		"github.com/hiddeco/sshsig":                              {"trust"},
		"github.com/secure-systems-lab/go-securesystemslib/":     {"trust"},
		"github.com/minio/minio-go/":                             {"builder/daemon"},
		"github.com/moby/buildkit/":                              {"builder", "builder/authority", "builder/buildcontext", "builder/containers", "builder/daemon", "builder/display", "builder/engine", "builder/layertimes", "builder/program", "builder/stepnet", "builder/steps", "builder/watchdog", "internal/bench", "packaging", "templates"},
		"github.com/moby/buildkit/client":                        {"builder", "builder/authority", "builder/buildcontext", "builder/containers", "builder/daemon", "builder/display", "builder/engine", "builder/layertimes", "builder/program", "builder/steps", "builder/watchdog", "internal/bench"},
		"github.com/moby/buildkit/control":                       {"builder/daemon"},
		"github.com/moby/buildkit/worker/":                       {"builder/daemon"},
		"github.com/moby/buildkit/frontend/gateway/":             {"builder", "builder/containers", "builder/daemon", "builder/steps"},
		"github.com/spf13/cobra":                                 {"cmd/fnb"},
		"github.com/vishvananda/netlink":                         {"builder/stepnet"},
		"github.com/yuin/goldmark":                               {"internal/docsite", "store/site"},
		"github.com/tonistiigi/go-actions-cache":                 {"builder/daemon"},
		"go.etcd.io/bbolt":                                       {"builder/daemon"},
		"go.yaml.in/yaml/v3":                                     {"schema/deploy"},
		"gvisor.dev/gvisor/":                                     {"builder/stepnet"},
		"software.sslmate.com/src/go-pkcs12":                     {"builder/authority"},
	}
}

// RoomOf returns the room that a package belongs to, by its path with or without
// the module's; false if it is in none.
func RoomOf(pkg string) (Room, bool) {
	pkg = strings.TrimPrefix(pkg, Module)
	var found Room
	for _, r := range Rooms() {
		if (pkg == r.Path || strings.HasPrefix(pkg, r.Path+"/")) && len(r.Path) > len(found.Path) {
			found = r
		}
	}
	return found, found.Path != ""
}

// May returns the rooms that a room may import, sorted.
func (r Room) May() []string {
	if !r.KnowsRooms {
		return r.MayImport
	}
	var all []string
	for _, other := range Rooms() {
		if other.Path != r.Path && !slices.Contains(tools(), other.Path) {
			all = append(all, other.Path)
		}
	}
	slices.Sort(all)
	return all
}
