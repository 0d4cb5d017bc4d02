package main

import (
	"regexp"
	"strings"

	"fnb/builder"
)

var (
	olderGo      = regexp.MustCompile(`requires go >= (\d+\.\d+)\S* \(running go \S+; GOTOOLCHAIN=local\)`)
	lackingTool  = regexp.MustCompile(`(?:Cannot find command '(\w+)'|(?:error: )?command '(gcc|g\+\+|cc|cmake|pkg-config)' failed: No such file|(?:sh: \d+: |/bin/sh: \d*:? ?)(git|gcc|make|curl|python3|pkg-config): not found|exec: "(git|gcc)": executable file not found)`)
	toolPackages = regexp.MustCompile(`^(gcc|g\+\+|cc|make)$`)
)

// stepHints are what a build step's own words tell of how the step could be helped, by the
// build args that fnb's templates have.
func stepHints(s *builder.SolveError) []string {
	log := strings.Join(s.Log, "\n")
	if m := olderGo.FindStringSubmatch(log); m != nil {
		return []string{"if the Dockerfile has ARG GO_VERSION, choose another Go with: --build-arg GO_VERSION=" + m[1]}
	}
	m := lackingTool.FindStringSubmatch(log)
	if m == nil {
		return nil
	}
	tool := strings.Join(m[1:], "")
	if toolPackages.MatchString(tool) {
		tool = "build-essential"
	}
	return []string{"if the Dockerfile has ARG ADDITIONAL_PACKAGE, install what is missing with: --build-arg ADDITIONAL_PACKAGE=" + tool}
}
