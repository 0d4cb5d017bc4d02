package main

import (
	"slices"
	"strings"
	"testing"

	"fnb/builder"
	"fnb/pipeline"
	"fnb/schema"
)

// TestStepHints has the words in which tools say what they lack, and what helps: with the
// groups of packages of a template, and without any.
func TestStepHints(t *testing.T) {
	t.Parallel()
	python := []schema.BuildOption{{Name: "dev", Packages: []string{"gcc", "g++", "libc6-dev", "make", "pkg-config"}}, {Name: "libpq", Packages: []string{"gcc", "libpq-dev"}}}
	node := []schema.BuildOption{{Name: "dev", Packages: []string{"g++", "make", "python3"}}}
	rust := []schema.BuildOption{{Name: "dev", Packages: []string{"cmake", "libssl-dev", "pkg-config", "protobuf-compiler"}}}
	golang := []schema.BuildOption{{Name: "git", Packages: []string{"git", "openssh-client"}}}
	add := func(name string) string {
		return "add what is missing to the build with: --build-option " + name + ", or build_options: [" + name + "] in the stack file"
	}
	install := func(pkg string) string {
		return "if the Dockerfile has ARG ADDITIONAL_PACKAGE, install what is missing with: --build-arg ADDITIONAL_PACKAGE=" + pkg
	}
	lock := "make the lock in the builder, without the package manager here: fnb lock --packages hello"
	trust := "if a company's proxy or registry is in between, let steps trust its authority with: --build-ca FILE"
	for _, test := range []struct {
		log     string
		options []schema.BuildOption
		want    string
	}{
		{"go: go.mod requires go >= 1.27.0 (running go 1.26.8; GOTOOLCHAIN=local)", golang, "if the Dockerfile has ARG GO_VERSION, choose another Go with: --build-arg GO_VERSION=1.27"},
		{"go: github.com/a/b@v1: exec: \"git\": executable file not found in $PATH", golang, add("git")},
		{"go: github.com/a/b@v1: exec: \"git\": executable file not found in $PATH", nil, install("git")},
		{"cgo: C compiler \"gcc\" not found: exec: \"gcc\": executable file not found in $PATH", golang, install("build-essential")},
		{"  ERROR: Cannot find command 'git' - do you have 'git' installed and in your PATH?", python, install("git")},
		{"error: command 'gcc' failed: No such file or directory", python, add("dev")},
		{"  error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory", python, add("dev")},
		{"      error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'", python, add("dev")},
		{"error: command 'g++' failed: No such file or directory", nil, install("build-essential")},
		{"../meson.build:1:0: ERROR: Unknown compiler(s): [['cc'], ['gcc'], ['clang']]", python, add("dev")},
		{"Error: pg_config executable not found.", python, add("libpq")},
		{"pg_config is required to build psycopg2 from source.", nil, install("libpq-dev")},
		{"sh: 1: make: not found", node, add("dev")},
		{"sh: 1: make: not found", nil, install("build-essential")},
		{"/bin/sh: 1: curl: not found", python, install("curl")},
		{"npm error gyp ERR! stack Error: not found: make", node, add("dev")},
		{"npm error gyp ERR! find Python You need to install the latest version of Python.", node, add("dev")},
		{"npm error enoent An unknown git error occurred, spawn git ENOENT", node, install("git")},
		{"error: linker `cc` not found", nil, install("build-essential")},
		{"  error occurred in cc-rs: failed to find tool \"c++\": No such file or directory", python, add("dev")},
		{"  is `cmake` not installed?", python, install("cmake")},
		{"  The pkg-config command could not be found.", python, add("dev")},
		{
			`runc run failed: unable to start container process: error during container init: error mounting "sysfs" to rootfs at "/sys": mount src=sysfs, dst=/sys, dstFd=/proc/thread-self/fd/8, flags=0xf: operation not permitted`, nil,
			"the builder runs in a namespace that may not mount /sys: give it a network namespace of its own, as with: unshare --user --map-root-user --net --mount",
		},
		{"curl: (60) SSL certificate problem: unable to get local issuer certificate", nil, trust},
		{"npm error code SELF_SIGNED_CERT_IN_CHAIN", nil, trust},
		{"ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in certificate chain (_ssl.c:1028)", nil, trust},
		{"go: example.com/m: Get \"https://proxy.example.com\": tls: failed to verify certificate: x509: certificate signed by unknown authority", nil, trust},
		{"  Caused by: invalid peer certificate: UnknownIssuer", nil, trust},
		{"fatal: unable to access 'https://git.example.com/': server verification failed: certificate signer not trusted. (CAfile: none CRLfile: none)", nil, trust},
		{"PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path", nil, trust},
		{"  Could not find directory of OpenSSL installation, and this `-sys` crate cannot", rust, add("dev")},
		{"Error: Could not find `protoc`. If `protoc` is installed, try setting the `PROTOC` environment variable", rust, add("dev")},
		{"  thread 'main' panicked at build.rs: Could not find `protoc` installation", nil, install("protobuf-compiler")},
		{"error: package `a v1.0.0` cannot be built because it requires rustc 1.99.1 or newer, while the currently active rustc version is 1.95.0", rust, "if the Dockerfile has ARG RUST_VERSION, choose another Rust with: --build-arg RUST_VERSION=1.99"},
		{"npm error `npm ci` can only install packages when your package.json and package-lock.json or npm-shrinkwrap.json are in sync.", node, lock},
		{"npm error Run \"npm help ci\" for more info", node, lock},
		{" ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with \"frozen-lockfile\" because pnpm-lock.yaml is not up to date with package.json", node, lock},
		{" ERR_PNPM_LOCKFILE_BREAKING_CHANGE  Lockfile /x/pnpm-lock.yaml not compatible with current pnpm", node, lock},
		{"Error: ERR_PNPM_BROKEN_LOCKFILE", node, lock},
		{"error Your lockfile needs to be updated, but yarn was run with `--frozen-lockfile`.", node, lock},
		{"YN0028: │ The lockfile would have been modified by this install, which is explicitly forbidden.", node, lock},
		{"error: lockfile had changes, but lockfile is frozen", node, lock},
		{"error: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided. To update the lockfile, run `uv lock`.", python, lock},
		{"pyproject.toml changed significantly since poetry.lock was last generated. Run `poetry lock` to fix the lock file.", python, lock},
		{"Lock file hash doesn't match pyproject.toml, regenerate the lock file with `pdm lock`", python, lock},
		{"Pipfile.lock is out-of-date. Run $ pipenv lock to update.", python, lock},
		{"Cargo.lock is out of date: Cargo.toml asks for http 2.0.0, which is not in it.", rust, lock},
		{"error: the lock file /build/app/Cargo.lock needs to be updated but --locked was passed to prevent this", rust, lock},
		{"error: The lockfile is out of date. Run `deno install --frozen=false`, or rerun with `--frozen=false` to update it.", python, lock},
		{"handler.go:3:8: missing go.sum entry for module providing package example.com/x", golang, lock},
		{"missing go.sum entry for module providing package example.com/x", nil, ""},
		{"go: example.com/lib@v0.0.0 (replaced by ../lib): reading ../lib/go.mod: open /go/src/handler/lib/go.mod: no such file or directory", golang, "have ../lib copied into the handler, at the top of the stack file: configuration: {copy: [FOLDER]}; and replace the module by ./FOLDER in go.mod, FOLDER being its path from the stack file"},
		{"[ERROR] Non-resolvable parent POM for a:b:1: Could not find artifact a:all:pom:1 in central", nil, "if the parent is a file above the handler, put a copy of it beside pom.xml, and name it there: <relativePath>parent.xml</relativePath>"},
		{"handler.go:6:2: missing go.sum entry\ngo.mod lacks what the source imports. It is complete with:\n+require example.com/lib v1.0.0", golang, "write into go.mod what the step shows with a +, or with Go here, in the handler: go mod tidy"},
		{"go: updates to go.mod needed; to update it:\n\tgo mod tidy", golang, "complete go.mod with Go here, in the handler: go mod tidy; without Go, see what it lacks with: fnb lock --packages hello"},
		{"go: updates to go.mod needed", nil, "complete go.mod with Go here, in the handler: go mod tidy"},
		{"assert 1 == 2", python, ""},
		{"", python, ""},
	} {
		var err error = &builder.SolveError{Log: []string{"x", test.log, "y"}}
		if test.options != nil {
			err = &pipeline.OfferError{Function: "hello", Options: test.options, Locks: true, Err: err}
		}
		got := stepHints(err)
		if test.want == "" && got != nil || test.want != "" && !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s: %q, want %q", test.log, got, test.want)
		}
	}
	killed := &builder.SolveError{Problem: `process "/bin/sh -c make" did not complete successfully: its container was killed`, Log: []string{"missing go.sum entry"}}
	if got := stepHints(killed); len(got) != 1 || !strings.HasSuffix(got[0], "build fewer at a time: --parallel 1") {
		t.Errorf("of a step that was killed: %q", got)
	}
	if got := stepHints(&pipeline.OverwriteError{}); got != nil {
		t.Errorf("of another error: %q", got)
	}
}
