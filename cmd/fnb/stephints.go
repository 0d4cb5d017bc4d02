package main

import (
	"errors"
	"slices"
	"strings"

	"fnb/builder"
	"fnb/internal/lazyregexp"
	"fnb/pipeline"
	"fnb/schema"
)

// shownModule is what the stage "lock" of the template go says before it shows what go.mod lacks.
const shownModule = "go.mod lacks what the source imports"

var (
	olderGo   = lazyregexp.New(`requires go >= (\d+\.\d+)\S* \(running go \S+; GOTOOLCHAIN=local\)`)
	olderRust = lazyregexp.New(`requires rustc (\d+\.\d+)\S* or newer, while the currently active rustc`)
	// incompleteModule is how Go, and the stage "lock" of the template go, say that go.mod lacks modules.
	incompleteModule = lazyregexp.New(`updates to go\.mod needed|` + shownModule)
	// aboveModule is a module that go.mod replaces by a folder above the handler.
	aboveModule = lazyregexp.New(`\(replaced by (\.\./\S*)\): reading `)
	// A compiler may be named with what it compiles for: x86_64-linux-gnu-gcc.
	lackingTool = lazyregexp.New(strings.Join([]string{
		`No such file or directory: '(?:[\w-]+-)?(gcc|g\+\+|cc)'`,
		`Cannot find command '([\w-]+)'`,
		`command '(?:[\w-]+-)?(gcc|g\+\+|cc|cmake|pkg-config)' failed: No such file`,
		`(?:sh: \d+: |/bin/sh: \d*:? ?)(git|gcc|g\+\+|cc|make|cmake|curl|python3|pkg-config): not found`,
		`exec: "(git|gcc|g\+\+)": executable file not found`,
		`linker .(cc)\b. not found`,
		`failed to find tool "(?:[\w-]+-)?(gcc|g\+\+|cc|c\+\+)"`,
		`is .(cmake). not installed`,
		`(?:not found: |spawn )(make|git|g\+\+)(?: ENOENT)?$`,
		`gyp ERR! find (Python)`,
		`(pg_config) (?:executable not found|is required)`,
		`The (pkg-config) command could not be found`,
		`Could not find directory of (OpenSSL) installation`,
		`Could not find .(protoc)\b`,
	}, "|") + `|(Unknown compiler\(s\))`)
	// staleLock is how package managers say that a lock is not what the manifest asks for, is
	// missing, or is of a version that they do not read.
	staleLock = lazyregexp.New(strings.Join([]string{
		`npm ci. (?:can only install packages when|command can only install with)|Run "npm help ci" for more info`,
		`ERR_PNPM_(?:OUTDATED_LOCKFILE|NO_LOCKFILE|BROKEN_LOCKFILE|LOCKFILE_\w+)`,
		`Your lockfile needs to be updated`,
		`lockfile would have been (?:modified|created) by this install`,
		`lockfile had changes, but lockfile is frozen`,
		`lockfile at .uv\.lock. needs to be updated`,
		`changed significantly since poetry\.lock was last generated`,
		`poetry\.lock is not compatible with the current version`,
		`(?i)lock ?file (?:hash doesn't match|doesn't match|is generated on an older version)`,
		`Pipfile\.lock(?: \(\w+\))? (?:is )?out.of.date`,
		`Cargo\.lock is out of date`,
		`lock file \S+ needs to be updated but --locked`,
		`The lockfile is out of date`,
		`missing go\.sum entry`,
	}, "|"))
	// untrusted is how OpenSSL, curl, Python, Node.js, Go, rustls, GnuTLS and Java say that nobody
	// whom they trust has signed a certificate.
	untrusted = lazyregexp.New(`(?i)unable to get (local )?issuer certificate|self[- ]signed certificate|CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT|UNABLE_TO_\w+_(ISSUER|LEAF)|signed by unknown authority|UnknownIssuer|certificate is NOT trusted|certificate signer not trusted|PKIX path building failed`)
)

// packageOf is the Debian package that has a tool.
func packageOf(tool string) string {
	switch tool {
	case "g++", "c++":
		return "g++"
	case "cc", "Unknown compiler(s)":
		return "gcc"
	case "Python":
		return "python3"
	case "pg_config":
		return "libpq-dev"
	case "OpenSSL":
		return "libssl-dev"
	case "protoc":
		return "protobuf-compiler"
	}
	return tool
}

// stepHints are what a build step's own words tell of how the step could be helped: by a
// group of packages that its template has, or by the build args that fnb's templates have.
func stepHints(err error) []string {
	s, ok := errors.AsType[*builder.SolveError](err)
	if !ok {
		return nil
	}
	log := strings.Join(s.Log, "\n")
	if incompleteModule.MatchString(log) {
		return completeModule(err, log)
	}
	if s.Killed() {
		return []string{"if memory ran out, which the kernel says with: dmesg | grep -i 'killed process', build fewer at a time: --parallel 1"}
	}
	if staleLock.MatchString(log) {
		return makeLock(err)
	}
	if strings.Contains(s.Problem+log, "sysfs") && strings.Contains(s.Problem+log, "operation not permitted") {
		return []string{"the builder runs in a namespace that may not mount /sys: give it a network namespace of its own, as with: unshare --user --map-root-user --net --mount"}
	}
	if m := olderGo.FindStringSubmatch(log); m != nil {
		return []string{"if the Dockerfile has ARG GO_VERSION, choose another Go with: --build-arg GO_VERSION=" + m[1]}
	}
	if untrusted.MatchString(log) {
		return []string{"if a company's proxy or registry is in between, let steps trust its authority with: --" + authorityFlag + " FILE"}
	}
	if m := olderRust.FindStringSubmatch(log); m != nil {
		return []string{"if the Dockerfile has ARG RUST_VERSION, choose another Rust with: --build-arg RUST_VERSION=" + m[1]}
	}
	if m := aboveModule.FindStringSubmatch(log); m != nil {
		return []string{"have " + m[1] + " copied into the handler, at the top of the stack file: configuration: {copy: [FOLDER]}; and replace the module by ./FOLDER in go.mod, FOLDER being its path from the stack file"}
	}
	if strings.Contains(log, "Non-resolvable parent POM") {
		return []string{"if the parent is a file above the handler, put a copy of it beside pom.xml, and name it there: <relativePath>parent.xml</relativePath>"}
	}
	tool := ""
	for _, line := range s.Log {
		if m := lackingTool.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			tool = packageOf(strings.Join(m[1:], ""))
			break
		}
	}
	if tool == "" {
		return nil
	}
	if o, ok := errors.AsType[*pipeline.OfferError](err); ok {
		has := func(option schema.BuildOption) bool { return slices.Contains(option.Packages, tool) }
		if i := slices.IndexFunc(o.Options, has); i >= 0 {
			return []string{"add what is missing to the build with: --build-option " + o.Options[i].Name + ", or build_options: [" + o.Options[i].Name + "] in the stack file"}
		}
	}
	if slices.Contains([]string{"gcc", "g++", "make"}, tool) {
		tool = "build-essential"
	}
	return []string{"if the Dockerfile has ARG ADDITIONAL_PACKAGE, install what is missing with: --build-arg ADDITIONAL_PACKAGE=" + tool}
}
