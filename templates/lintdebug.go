package templates

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"fnb/schema/words"
)

// adapters are what editors call debuggers, as fnb can tell them how to attach.
func adapters() []string { return []string{"debugpy", "delve", "node", "bun", "jdwp"} }

// debug checks that the debug command can be run, and be reached where it listens.
func (l *linter) debug() {
	debug := l.manifest.Debug
	if debug == nil {
		return
	}
	add := func(severity Severity, key, format string, args ...any) {
		l.add(severity, PartEntrypoint, ManifestName, max(l.line(key), l.line("debug")), "debug: "+format, args...)
	}
	port := strconv.Itoa(debug.Port)
	if l.manifest.Watchdog == words.WatchdogNone {
		add(SeverityError, "command:", "an image without a watchdog has nothing that runs its command")
	}
	if u, err := url.Parse(l.manifest.UpstreamURL); err == nil && u.Port() == port {
		add(SeverityError, "port:", "port %s is that of upstream_url, where the function listens", port)
	}
	if !strings.Contains(debug.Command, port) {
		add(SeverityWarning, "command:", "its command does not name port %s, where the debugger is looked for", port)
	}
	if strings.Contains(debug.Command, "0.0.0.0") || strings.Contains(debug.Command, "[::]") {
		add(SeverityWarning, "command:", "its command has the debugger listen at all addresses; 127.0.0.1 is enough")
	}
	if !slices.Contains(adapters(), debug.Adapter) {
		add(SeverityWarning, "adapter:", "adapter %q is not one of %s, for which editors are told how to attach", debug.Adapter, strings.Join(adapters(), ", "))
	}
}
