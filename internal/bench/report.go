package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

const (
	sectionBegin = "<!-- builds: written by make bench -->\n"
	sectionEnd   = "<!-- end of builds -->\n"
)

// writeSection puts the table in place of the last one, or behind the document.
func writeSection(file string, rounds int, table []string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(sectionBegin)
	fmt.Fprintf(&b, `## Builds

`+"`make bench`"+`, on %s, %s with %d cores. Everything is on one machine: a registry, fnb's own builder, which begins empty and which buildctl uses too, and stand-ins where the
public base images cannot be reached. What is compared took turns; figures are medians, of %d rounds and up where one takes a second or less, of whole processes but for the floor, which is without one. The floor of 20 functions is
BuildKit's client alone, having the same done without a Dockerfile, labels or a look at the registry: a file copied from a build context to a base image by its digest, a watchdog,
fixed times, a push. It makes as many images at a time as fnb does, which is as many as there are cores. Without that limit the builder is somewhat quicker. The bare floor puts the file onto the base image and leaves times as they are.

| work | wanted | reached | seconds |
|---|---|---|---|
%s
`, time.Now().Format(time.DateOnly), processor(), runtime.NumCPU(), rounds, strings.Join(table, "\n"))
	b.WriteString(sectionEnd)
	text := string(raw)
	if before, rest, ok := strings.Cut(text, sectionBegin); ok {
		_, after, _ := strings.Cut(rest, sectionEnd)
		text = before + b.String() + after
	} else {
		text = strings.TrimRight(text, "\n") + "\n\n" + b.String()
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
