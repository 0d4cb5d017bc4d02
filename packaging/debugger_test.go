package packaging

import (
	"slices"
	"testing"
)

// TestDebugger: the image for a debugger is of the stage for it, where there is one, has the
// command, and is another one than the function's.
func TestDebugger(t *testing.T) {
	t.Parallel()
	const manifest = "fprocess: x\ndebug: {command: debug x, port: 1, adapter: delve}\n"
	for name, c := range map[string]struct {
		manifest, dockerfile, fprocess, watchdog string // of the template and the function
		target, wantTarget                       string
		debug, want                              bool
	}{
		"not wanted":                {manifest: manifest, dockerfile: "FROM a AS Debug\nFROM a\n"},
		"a stage":                   {manifest: manifest, dockerfile: "FROM a AS Debug\nFROM a\n", debug: true, want: true, wantTarget: "debug"},
		"no stage":                  {manifest: manifest, dockerfile: "FROM a\n", debug: true, want: true},
		"the stage by its name":     {manifest: manifest, dockerfile: "FROM a AS debug\nFROM a\n", target: "DEBUG", want: true, wantTarget: "DEBUG"},
		"a stage of that name only": {manifest: "fprocess: x\n", dockerfile: "FROM a AS debug\nFROM a\n", target: "debug", wantTarget: "debug"},
		"no debugger":               {manifest: "fprocess: x\n", dockerfile: "FROM a AS debug\nFROM a\n", debug: true},
		"no watchdog":               {manifest: manifest, dockerfile: "FROM a AS debug\nFROM a\n", watchdog: "none", debug: true},
		"another command":           {manifest: manifest, dockerfile: "FROM a\n", fprocess: "mine", debug: true, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := Input{
				Function: function(), Template: template(t, map[string]string{"template.yml": c.manifest, "Dockerfile": c.dockerfile, "function/x": ""}),
				Root: files(t, map[string]string{"hello/x": ""}), Target: c.target, Debug: c.debug,
			}
			in.Function.FProcess, in.Function.Watchdog = c.fprocess, c.watchdog
			got := assemble(t, in)
			if got.Debugger != c.want || got.Target != c.wantTarget {
				t.Errorf("debugger %v, target %q", got.Debugger, got.Target)
			}
			if command := got.Config.Env["fprocess"]; (command == "debug x") != c.want {
				t.Errorf("fprocess %q", command)
			}
			if label := got.Config.Labels["fnb.debugger"]; (label == "delve") != c.want {
				t.Errorf("label %q", label)
			}
			note := slices.Contains(got.Notes, "the template's debug command is run in the place of fprocess")
			if note != (c.want && c.fprocess != "") {
				t.Errorf("notes %q", got.Notes)
			}
		})
	}
}
