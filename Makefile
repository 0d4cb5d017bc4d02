# GNU make 4.3. On Debian or Ubuntu with Go, "make demo" and "make test" set up
# what they need; see tools/setup for what that is.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := build
.NOTPARALLEL:

# Programs, tests and linters are compiled in one way, so that each package is compiled once:
# without C, and without the checkout's path. The race detector alone needs C.
export CGO_ENABLED := 0
export GOFLAGS     := $(filter-out -trimpath,$(shell go env GOFLAGS 2>/dev/null)) -trimpath

# fnb's version is that of the checkout; the watchdog's is that of its own last
# change, so that its layer keeps its digest while it is not touched.
# The length of an abbreviated commit is said, for git's own depends on the clone.
VERSION  := $(shell git describe --tags --always --abbrev=12 --dirty 2>/dev/null || echo dev)
WATCHDOG := $(shell c=$$(git rev-list -1 HEAD -- cmd/fwatchdog internal/streams 2>/dev/null) && [ -n "$$c" ] && git describe --tags --always --abbrev=12 $$c || echo dev)
WATCHDOG := $(WATCHDOG)$(if $(shell git status --porcelain -- cmd/fwatchdog internal/streams 2>/dev/null),-dirty)

# The flags of a static, reproducible program; %'s version goes into main.version.
static  = go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(1)"
# The watchdog speaks HTTP/1.1 with the function and its callers; without HTTP/2 it is smaller.
small   = -tags nethttpomithttp2
# Of golang.org/x they need the versions that fnb has, so that most of their packages are compiled once.
servers = bin/tools/registry bin/tools/buildkitd bin/tools/buildctl bin/tools/crane
clouds  = bin/tools/actionscache bin/tools/versitygw
checkers = bin/tools/actionlint bin/tools/manifests bin/tools/compose
linters = bin/tools/golangci-lint bin/tools/govulncheck
grown   = ./internal/plain ./schema ./schema/runtimes ./templates ./packaging ./packaging/lists ./registry ./sbom/locks ./store/records ./store/site
rivals  = bin/tools/ko

.PHONY: help hooks build install uninstall release release-files release-image release-test watchdog setup tools axe cfn serverless sbom sigstore kubernetes sign scanners standins layers engines vm emulation vet vet-others lint test test-race test-emulation vulncheck fuzz demo docs site bench bench-kubernetes bench-rooms bench-run bench-fleet bench-templates bench-sbom bench-watchdog clean

help: ## list what can be made
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1@\2/p' $(MAKEFILE_LIST) | while IFS=@ read -r target text; do printf '  %-16s %s\n' "$$target" "$$text"; done

hooks: ## have git look at a change before it is committed: its formatting, and whether it compiles
	git config core.hooksPath tools/hooks

build: watchdog ## build bin/fnb and bin/fwatchdog
	$(call static,$(VERSION)) -o bin/fnb ./cmd/fnb
	$(call static,$(WATCHDOG)) $(small) -o bin/fwatchdog ./cmd/fwatchdog

# Where "make install" installs: DESTDIR is before PREFIX, for packagers.
PREFIX  ?= /usr/local
DESTDIR ?=
place    = $(DESTDIR)$(PREFIX)
FNB     ?= bin/fnb
install: ## install what "make build" has built below PREFIX (/usr/local): fnb, its man pages and completions
	@[ -x $(FNB) ] || { echo "install: $(FNB) is missing; build it with: make build" >&2; exit 1; }
	mkdir -p $(place)/bin $(place)/share/man/man1 $(place)/share/bash-completion/completions \
	  $(place)/share/zsh/site-functions $(place)/share/fish/vendor_completions.d
	install -m 0755 $(FNB) $(place)/bin/fnb
	install -m 0644 docs/man/*.1 $(place)/share/man/man1/
	$(FNB) completion bash >$(place)/share/bash-completion/completions/fnb
	$(FNB) completion zsh >$(place)/share/zsh/site-functions/_fnb
	$(FNB) completion fish >$(place)/share/fish/vendor_completions.d/fnb.fish

uninstall: ## remove what "make install" has installed below PREFIX
	rm -f $(place)/bin/fnb $(place)/share/man/man1/fnb.1 $(place)/share/man/man1/fnb-*.1 \
	  $(place)/share/bash-completion/completions/fnb $(place)/share/zsh/site-functions/_fnb $(place)/share/fish/vendor_completions.d/fnb.fish

# A release is of the tag that is checked out; without one it is a trial, named by the commit and its time.
RELEASE   ?= $(shell git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null || echo v0.0.0-$$(TZ=UTC0 git log -1 --format=%cd --date=format-local:%Y%m%d%H%M%S)-$$(git rev-parse --short=12 HEAD))
PLATFORMS ?= # those that are made; none is all
RELEASE_KEY ?= # signs the release, as fnb sign takes it; its password is FNB_KEY_PASSWORD
release: release-files release-image ## make the files of a release and the image of fnb, below dist; see docs/releasing.md

# Another Go compiles and compresses to other bytes, so go.mod's is used.
release-files: export GOTOOLCHAIN = go$(shell sed -n 's/^go //p' go.mod)
release-files: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
release-files: watchdog ## make the archives, packages, checksums, SBOM, provenance and manifests of a release, below dist
	@[ -z "$$(git status --porcelain)" ] || { echo "release: the checkout has changes; commit them first, see: git status" >&2; exit 1; }
	go -C tools/release run . -version $(RELEASE) -root $(CURDIR) -out $(CURDIR)/dist -commit $$(git rev-parse HEAD) $(if $(RELEASE_KEY),-key "$(RELEASE_KEY)") $(if $(strip $(PLATFORMS)),-platforms "$(PLATFORMS)")

# FLAGS are those of fnb build, such as --push, with IMAGE=ghcr.io/acme/fnb as where to.
release-image: export VERSION = $(RELEASE:v%=%)
release-image: export IMAGE ?= fnb
release-image: ## have the released fnb make the image of fnb, of the released packages
	rm -rf dist/image
	cp -R tools/release/image dist/image
	for arch in amd64 arm64; do deb=dist/$(RELEASE)/fnb_$(VERSION)_$$arch.deb; [ ! -e $$deb ] || cp $$deb dist/image/fnb/fnb_$$arch.deb; done
	dist/build/linux_$$(go env GOARCH)/fnb build --directory dist/image $(or $(FLAGS),--output oci=fnb.tar)

release-test: watchdog $(servers) ## make two releases, compare them, and do with them what users do; needs root, and compiles fnb for six platforms
	@tools/setup release
	@tools/release-test

watchdog: ## build the watchdog and the init for each platform, and what fnb embeds of them
	GOOS=linux GOARCH=amd64 $(call static,$(WATCHDOG)) $(small) -o bin/fwatchdog-linux-amd64 ./cmd/fwatchdog
	GOOS=linux GOARCH=arm64 $(call static,$(WATCHDOG)) $(small) -o bin/fwatchdog-linux-arm64 ./cmd/fwatchdog
	GOOS=linux GOARCH=arm GOARM=7 $(call static,$(WATCHDOG)) $(small) -o bin/fwatchdog-linux-arm-v7 ./cmd/fwatchdog
	go run ./packaging/mkwatchdog -o packaging/watchdog \
	  linux/amd64=bin/fwatchdog-linux-amd64 linux/arm64=bin/fwatchdog-linux-arm64 linux/arm/v7=bin/fwatchdog-linux-arm-v7
	GOOS=linux GOARCH=amd64 $(call static) -o bin/fnbinit-linux-amd64 ./cmd/fnbinit
	GOOS=linux GOARCH=arm64 $(call static) -o bin/fnbinit-linux-arm64 ./cmd/fnbinit
	GOOS=linux GOARCH=arm GOARM=7 $(call static) -o bin/fnbinit-linux-arm-v7 ./cmd/fnbinit
	@mkdir -p packaging/watchdog/init
	@for p in linux-amd64 linux-arm64 linux-arm-v7; do gzip -9nc bin/fnbinit-$$p >packaging/watchdog/init/$$p.gz; done

setup: ## install the system packages that the tests need and that are missing, or say what to type
	@tools/setup tests

tools: $(servers) $(clouds) $(checkers) ## build the servers that the tests start, and what checks their output

$(servers) &: tools/go.mod tools/go.sum
	go -C tools build -ldflags "-s -w" -o ../bin/tools/ \
	  github.com/distribution/distribution/v3/cmd/registry \
	  github.com/moby/buildkit/cmd/buildkitd \
	  github.com/moby/buildkit/cmd/buildctl \
	  github.com/google/go-containerregistry/cmd/crane
	@touch $(servers)

$(clouds) &: tools/cloud/go.mod tools/cloud/go.sum tools/cloud/actionscache/main.go
	go -C tools/cloud build -ldflags "-s -w" -o ../../bin/tools/ \
	  github.com/versity/versitygw/cmd/versitygw ./actionscache
	@touch $(clouds)

$(checkers) &: tools/check/go.mod tools/check/go.sum tools/check/manifests/main.go tools/check/compose/main.go
	go -C tools/check build -ldflags "-s -w" -o ../../bin/tools/ \
	  github.com/rhysd/actionlint/cmd/actionlint ./manifests ./compose
	@touch $(checkers)

$(linters): bin/tools/%: tools/lint/go.mod tools/lint/go.sum
	go -C tools/lint build -ldflags "-s -w" -o ../../bin/tools/ \
	  $(filter %/$*,github.com/golangci/golangci-lint/v2/cmd/golangci-lint golang.org/x/vuln/cmd/govulncheck)
	@touch $@

axe = tools/axe/node_modules/axe-core/axe.min.js
axe: $(axe) ## fetch axe-core, which checks that everybody can use the store's page

$(axe): tools/axe/package.json tools/axe/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix tools/axe --ignore-scripts --no-audit --no-fund && touch $@; \
	else echo "axe: npm is missing; tests that need axe-core are skipped" >&2; fi

cfn = tools/cfn/venv/bin/cfn-lint
cfn: $(cfn) ## fetch cfn-lint, which checks what fnb writes for AWS Lambda, and schemas of what a release has

$(cfn): tools/cfn/requirements.txt
	@if python3 -m venv tools/cfn/venv 2>/dev/null; then tools/cfn/venv/bin/pip install --quiet --disable-pip-version-check --no-deps -r $< && touch $@; \
	else echo "cfn: python3-venv is missing; its checks are left out" >&2; fi

serverless = tools/serverless/node_modules/typescript/bin/tsc
serverless: $(serverless) ## fetch the Serverless Framework's types, which check what fnb writes for it

$(serverless): tools/serverless/package.json tools/serverless/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix tools/serverless --ignore-scripts --no-audit --no-fund && touch $@; \
	else echo "serverless: npm is missing; its checks are left out" >&2; fi

bills = tools/sbom/venv/bin/ntia-checker
sbom: $(bills) ## fetch the validators of SBOMs: spdx-tools, ntia-conformance-checker, cyclonedx-python-lib

$(bills): tools/sbom/requirements.txt
	@if python3 -m venv tools/sbom/venv 2>/dev/null; then tools/sbom/venv/bin/pip install --quiet --disable-pip-version-check --no-deps -r $< && touch $@; \
	else echo "sbom: python3-venv is missing; its checks are left out" >&2; fi

sigstore = tools/sign/node_modules/@sigstore/verify/package.json
sigstore: $(sigstore) ## fetch Sigstore's library for JavaScript, which verifies what fnb signs

$(sigstore): tools/sign/package.json tools/sign/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix tools/sign --ignore-scripts --no-audit --no-fund && touch $@; \
	else echo "sigstore: npm is missing; its checks are left out" >&2; fi

$(rivals): tools/bench/go.mod tools/bench/go.sum
	go -C tools/bench build -ldflags "-s -w" -o ../../bin/tools/ github.com/google/ko
	@touch $(rivals)

# All of these are kept in the user's cache folder, so that another checkout need not compile them.
compiled = @mkdir -p bin/tools; programs=$$(tools/compile fnb-$(1) $(addprefix $(1)=,$(2))); ln -sf $(foreach p,$(2),"$$programs/$(notdir $(p))") bin/tools/
sign: ## compile cosign and oras, which tests are skipped without; the first time takes 5 minutes of one processor
	$(call compiled,sign,github.com/sigstore/cosign/v3/cmd/cosign oras.land/oras/cmd/oras)

scanners: sbom ## compile osv-scanner and grype, and fetch syft, which read what fnb sbom and fnb audit read; the first time takes 6 minutes, after make sign
	$(call compiled,sign,github.com/google/osv-scanner/v2/cmd/osv-scanner)
	$(call compiled,grype,github.com/anchore/grype/cmd/grype ./grypedb)

kubernetes: setup ## compile Kubernetes, which tests are skipped without; the first time takes 13 minutes of one processor
	@tools/kubernetes/install

# Most of that waits for packages, and needs nothing that has to be compiled for long.
layers: setup
	go run ./internal/servers/up -layers

standins: setup build tools ## make the stand-ins for base images, where the registries cannot be reached
	go run ./internal/servers/up -prepare

engines: ## unpack Debian's Docker Engine and podman for the tests, and compile today's, once, without installing them; 3 minutes of one processor
	$(call compiled,docker,github.com/moby/moby/v2/cmd/dockerd $(addprefix github.com/containerd/containerd/v2/cmd/,containerd containerd-shim-runc-v2 ctr))
	FNB_REQUIRE=engines go test -count=1 -vet=off ./internal/servers/engines

vm: ## unpack Debian's QEMU and kernel for the tests, once, without installing them
	FNB_REQUIRE=vm go test -count=1 -vet=off ./internal/servers/vm

emulation: ## unpack Debian's QEMU for programs of other platforms for the tests, once, without installing it
	FNB_REQUIRE=emulation go test -count=1 -vet=off ./internal/servers/emulation

vet: watchdog ## run go vet
	go vet ./...
	for os in darwin windows; do GOOS=$$os go list -deps ./cmd/fnb >/dev/null; done # its packages are whole there

# What needs no builder of its own is for all systems, its tests too. With an empty cache it takes four minutes of one core.
vet-others: watchdog ## run go vet for macOS and Windows, on what needs no builder
	for os in darwin windows; do GOOS=$$os go vet $$(go list ./... | grep -vE '/(builder|pipeline|internal/servers|internal/demo|internal/bench|cmd)(/|$$)'); done

lint: watchdog bin/tools/golangci-lint ## run the linters and check the formatting
	bin/tools/golangci-lint run --allow-parallel-runners

# What comes over the network is fetched beside what is compiled. The first target may be none.
comma := ,
required = $(filter $(1),$(subst $(comma), ,$(FNB_REQUIRE)))
beside = @$(if $(strip $(1)),$(MAKE) $(1) & beside=$$!; trap 'kill $$beside 2>/dev/null || true' EXIT;) $(MAKE) $(2) $(if $(strip $(1)),; wait $$beside)

# cmd/fnb's tests drive a built fnb: as users have it for all of them, under the race detector for
# those with several functions at once. What go test would vet is vetted before.
# Pictures of the store's page are kept there.
test: export FNB_SCREENSHOTS ?= $(CURDIR)/.screenshots
test: ## run every test, against real servers, under the race detector
	$(call beside,setup axe cfn serverless sbom sigstore,build)
	$(call beside,layers $(call required,vm),tools $(call required,sign) $(call required,scanners) $(call required,engines) vet)
	@$(MAKE) standins
	go -C tools/release test ./...
	$(call beside,$(call required,kubernetes),test-race)
	go test -vet=off -p 1 -timeout 20m -run '^TestGrowth$$' $(grown) # what reading costs is measured without the race detector
	FNB_TEST_RACE=1 go test -vet=off -timeout 20m ./cmd/fnb -run 'TestScripts/(progress|build_fails|new|store_publish)$$'
	go test -vet=off -timeout 10m ./internal/servers/cluster
	go test -vet=off -parallel 4 -timeout 40m ./cmd/fnb # most of which waits for builders

# Kubernetes' programs are compiled beside it, at leisure; so what needs them comes later.
test-race:
	CGO_ENABLED=1 go test -race -vet=off -timeout 30m -skip '^TestGrowth$$' $$(go list ./... | grep -vE '/(cmd/fnb|internal/servers/cluster)$$')

# What FNB_REQUIRE names is fetched and made first.
test-emulation: export FNB_REQUIRE := emulation
test-emulation: export FNB_TEST_EMULATION := all
test-emulation: standins ## hold the starter of each official template to the contract on linux/arm64, by emulation; the first time an hour or more
	go test -vet=off -timeout 180m ./cmd/fnb -run '^TestEmulation$$|^TestScripts$$/^emulation$$'

vulncheck: watchdog bin/tools/govulncheck ## look for known vulnerabilities; needs the network
	bin/tools/govulncheck ./...

# How long each fuzz test runs: make fuzz FUZZTIME=10m
FUZZTIME ?= 10s
fuzz: watchdog ## run every fuzz test for FUZZTIME (10s), and list those that found something
	@tools/fuzz $(FUZZTIME)

# It needs fnb and what runs its builder's containers; no server of the tests'.
demo: ## from template to a running image: build, push, pull and call three functions
	@tools/setup demo
	@tools/step "building fnb and its watchdog" $(MAKE) -s build
	@tools/step "building the demo" go build -o bin/demo ./internal/demo
	@bin/demo

docs: watchdog ## write the documents that are generated from code
	go test ./schema ./cmd/fnb ./templates/conformance -run 'JSONSchema|Reference|Pipelines|HandlersDocument' -update

site: ## make the site of the documents in bin/site
	@go run ./internal/docsite -o bin/site

bench: standins $(rivals) ## measure builds against buildctl and ko, and write docs/benchmarks.md; up to ten minutes
	go run ./internal/bench -o docs/benchmarks.md

bench-kubernetes: standins kubernetes ## measure builders in pods against builders on this machine, and write docs/benchmarks.md; ten minutes
	go run ./internal/bench -kubernetes -rounds 3 -o docs/benchmarks.md

bench-rooms: watchdog ## run the benchmarks of the packages
	go test -run '^$$' -bench . -benchmem ./...

bench-run: standins ## measure fnb invoke, fnb run, --watch, a local life, --changed-since, audit and verify; some minutes
	go test ./cmd/fnb -run '^$$' -bench 'Invoke|RunRequest|RunGateway|RunEnds|RunMemory|SaveToServing|LocalLife|ReachQuery|ChangedSince|Audit|VerifySigned' -benchtime 10x

bench-fleet: ## measure fnb rebase with 300 functions for two platforms, killed 20 times; two minutes
	go test ./cmd/fnb -run '^$$' -bench '^BenchmarkFleet$$' -benchtime 1x -timeout 30m

bench-templates: standins ## measure the templates beside the servers that people would take instead, and write docs/benchmarks.md; fifteen minutes
	@tools/setup wrk
	go test ./cmd/fnb -run '^$$' -bench '^BenchmarkTemplates$$' -benchtime 1x -timeout 60m -update

bench-sbom: standins scanners ## hold fnb sbom against syft and osv-scanner, and write docs/benchmarks.md; some minutes
	FNB_REQUIRE=oracles go test ./cmd/fnb -vet=off -run '^TestOracles$$' -timeout 30m -update

bench-watchdog: ## measure the watchdog with wrk, against its upstream and a ReverseProxy; some minutes
	@tools/setup wrk
	go run ./cmd/fwatchdog/bench -rounds 5 -seconds 3

clean: ## remove what was built; the stand-ins' cache stays
	rm -rf bin dist packaging/watchdog/blobs packaging/watchdog/index.json packaging/watchdog/oci-layout packaging/watchdog/init
