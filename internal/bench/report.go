package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// builds is fnb against buildctl and ko.
func builds() subject {
	return subject{
		begin: "<!-- builds: written by make bench -->\n", end: "<!-- end of builds -->\n",
		text: `## Builds

` + "`make bench`" + `, on %s, %s with %d cores. Everything is on one machine: a registry, fnb's own builder, which begins empty and which buildctl uses too, and stand-ins where the
public base images cannot be reached. What is compared took turns; figures are medians, of %d rounds and up where one takes a second or less, of whole processes but for the floor, which is without one. The floor of 20 functions is
BuildKit's client alone, having the same done without a Dockerfile, labels or a look at the registry: a file copied from a build context to a base image by its digest, a watchdog,
fixed times, a push. It makes as many images at a time as fnb does, which is as many as there are cores. Without that limit the builder is somewhat quicker. The bare floor puts the file onto the base image and leaves times as they are.
`,
		rows: func(ctx context.Context, r *rig, tools string) ([]row, error) {
			if err := r.findRivals(tools); err != nil {
				return nil, err
			}
			return rows(), r.startBuilder(ctx)
		},
	}
}

// pods is builders in pods against builders on this machine.
func pods() subject {
	return subject{
		begin: "<!-- pods: written by make bench-kubernetes -->\n", end: "<!-- end of pods -->\n",
		text: `## Builders in pods

` + "`make bench-kubernetes`" + `, on %s, %s with %d cores. A Kubernetes of one node runs on the same machine, with two pods of a plain buildkitd; beside them run two buildkitd without it. The six functions are the starters of
` + "`python3` and `node`" + `, three of each, which are made without a cache and pushed. What is compared took turns; figures are medians of %d rounds.
`,
		rows: func(ctx context.Context, r *rig, _ string) ([]row, error) { return kubernetesRows(ctx, r) },
	}
}

// write puts the table in place of the last one, or behind the document.
func (s subject) write(file string, rounds int, table []string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	section := s.begin + fmt.Sprintf(s.text, time.Now().Format(time.DateOnly), processor(), runtime.NumCPU(), rounds) +
		"\n| work | wanted | reached | seconds |\n|---|---|---|---|\n" + strings.Join(table, "\n") + "\n" + s.end
	text := string(raw)
	if before, rest, ok := strings.Cut(text, s.begin); ok {
		_, after, _ := strings.Cut(rest, s.end)
		text = before + section + after
	} else {
		text = strings.TrimRight(text, "\n") + "\n\n" + section
	}
	return os.WriteFile(file, []byte(text), 0o644) //nolint:gosec // a document
}

// processor is the name of the machine's processor.
func processor() string {
	raw, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(raw)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
}
