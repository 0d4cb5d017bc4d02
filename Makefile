# GNU make 4.3. On Debian or Ubuntu with Go, "make demo" and "make test" set up
# what they need; see tools/setup for what that is.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := build

# fnb's version is that of the checkout; the watchdog's is that of its own last
# change, so that its layer keeps its digest while it is not touched.
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
WATCHDOG := $(shell c=$$(git rev-list -1 HEAD -- cmd/fwatchdog 2>/dev/null) && [ -n "$$c" ] && git describe --tags --always $$c || echo dev)
WATCHDOG := $(WATCHDOG)$(if $(shell git status --porcelain -- cmd/fwatchdog 2>/dev/null),-dirty)

# The flags of a static, reproducible program; %'s version goes into main.version.
static  = CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(1)"
# The watchdog speaks HTTP/1.1 with the function and its callers; without HTTP/2 it is smaller.
small   = -tags nethttpomithttp2
servers = bin/tools/registry bin/tools/buildkitd bin/tools/crane
clouds  = bin/tools/actionscache bin/tools/versitygw
checkers = bin/tools/actionlint bin/tools/manifests
linters = bin/tools/golangci-lint bin/tools/govulncheck
grown   = ./schema ./templates ./packaging ./registry ./store ./store/site
rivals  = bin/tools/buildctl bin/tools/ko

.PHONY: build watchdog setup tools axe standins vet lint test vulncheck fuzz demo docs bench bench-rooms bench-run bench-watchdog clean

build: watchdog ## build bin/fnb and bin/fwatchdog
	$(call static,$(VERSION)) -o bin/fnb ./cmd/fnb
	$(call static,$(WATCHDOG)) $(small) -o bin/fwatchdog ./cmd/fwatchdog

watchdog: ## build the watchdog for each platform, and the layers that fnb embeds
	GOOS=linux GOARCH=amd64 $(call static,$(WATCHDOG)) $(small) -o bin/fwatchdog-linux-amd64 ./cmd/fwatchdog
	GOOS=linux GOARCH=arm64 $(call static,$(WATCHDOG)) $(small) -o bin/fwatchdog-linux-arm64 ./cmd/fwatchdog
	GOOS=linux GOARCH=arm GOARM=7 $(call static,$(WATCHDOG)) $(small) -o bin/fwatchdog-linux-arm-v7 ./cmd/fwatchdog
	CGO_ENABLED=0 go run -trimpath ./packaging/mkwatchdog -o packaging/watchdog \
	  linux/amd64=bin/fwatchdog-linux-amd64 linux/arm64=bin/fwatchdog-linux-arm64 linux/arm/v7=bin/fwatchdog-linux-arm-v7

setup: ## install the system packages that are missing, or say what to type
	@tools/setup

tools: $(servers) $(clouds) $(checkers) ## build the servers that the tests start, and what checks their output

$(servers) &: tools/go.mod tools/go.sum
	CGO_ENABLED=0 go -C tools build -trimpath -ldflags "-s -w" -o ../bin/tools/ \
	  github.com/distribution/distribution/v3/cmd/registry \
	  github.com/moby/buildkit/cmd/buildkitd \
	  github.com/google/go-containerregistry/cmd/crane
	@touch $(servers)

$(clouds) &: tools/cloud/go.mod tools/cloud/go.sum tools/cloud/actionscache/main.go
	CGO_ENABLED=0 go -C tools/cloud build -trimpath -ldflags "-s -w" -o ../../bin/tools/ \
	  github.com/versity/versitygw/cmd/versitygw ./actionscache
	@touch $(clouds)

$(checkers) &: tools/check/go.mod tools/check/go.sum tools/check/manifests/main.go
	CGO_ENABLED=0 go -C tools/check build -trimpath -ldflags "-s -w" -o ../../bin/tools/ \
	  github.com/rhysd/actionlint/cmd/actionlint ./manifests
	@touch $(checkers)

$(linters) &: tools/lint/go.mod tools/lint/go.sum
	CGO_ENABLED=0 go -C tools/lint build -trimpath -ldflags "-s -w" -o ../../bin/tools/ \
	  github.com/golangci/golangci-lint/v2/cmd/golangci-lint golang.org/x/vuln/cmd/govulncheck
	@touch $(linters)

axe = tools/axe/node_modules/axe-core/axe.min.js
axe: $(axe) ## fetch axe-core, which checks that everybody can use the store's page

$(axe): tools/axe/package.json tools/axe/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix tools/axe --ignore-scripts --no-audit --no-fund && touch $@; \
	else echo "axe: npm is missing; tests that need axe-core are skipped" >&2; fi

$(rivals) &: tools/bench/go.mod tools/bench/go.sum
	CGO_ENABLED=0 go -C tools/bench build -trimpath -ldflags "-s -w" -o ../../bin/tools/ \
	  github.com/moby/buildkit/cmd/buildctl github.com/google/ko
	@touch $(rivals)

standins: setup build tools ## make the stand-ins for base images, where the registries cannot be reached
	CGO_ENABLED=0 go run -trimpath ./internal/servers/up -prepare

vet: watchdog ## run go vet
	CGO_ENABLED=0 go vet -trimpath ./...

lint: watchdog $(linters) ## run the linters and check the formatting
	CGO_ENABLED=0 GOFLAGS="$$(go env GOFLAGS) -trimpath" bin/tools/golangci-lint run --allow-parallel-runners

# cmd/fnb's tests drive a built fnb: as users have it for all of them, under the race detector for
# those with several functions at once.
# Pictures of the store's page are kept there.
test: export FNB_SCREENSHOTS ?= $(CURDIR)/.screenshots
test: setup build tools axe standins vet ## run every test, against real servers, under the race detector
	go test -race -timeout 30m -skip '^TestGrowth$$' $$(go list ./... | grep -vx fnb/cmd/fnb)
	go test -timeout 20m -run '^TestGrowth$$' $(grown) # what reading costs is measured without the race detector
	FNB_TEST_RACE=1 go test -timeout 20m ./cmd/fnb -run 'TestScripts/(progress|build_fails|new|store_publish)$$'
	go test -timeout 40m ./cmd/fnb

vulncheck: watchdog bin/tools/govulncheck ## look for known vulnerabilities; needs the network
	bin/tools/govulncheck ./...

# How long each fuzz test runs: make fuzz FUZZTIME=10m
FUZZTIME ?= 10s
fuzz: watchdog ## run every fuzz test for FUZZTIME (10s), and list those that found something
	@tools/fuzz $(FUZZTIME)

demo: standins ## from template to a running image: build, push, pull and call three functions
	go run ./internal/demo

docs: watchdog ## write the documents that are generated from code
	go test ./schema ./cmd/fnb -run 'JSONSchema|Reference|Pipelines' -update

bench: standins $(rivals) ## measure builds against buildctl and ko, and write docs/benchmarks.md; up to ten minutes
	CGO_ENABLED=0 go run -trimpath ./internal/bench -o docs/benchmarks.md

bench-rooms: watchdog ## run the benchmarks of the packages
	go test -run '^$$' -bench . -benchmem ./...

bench-run: standins ## measure fnb invoke, fnb run, --watch and --changed-since; two minutes
	CGO_ENABLED=0 go test -trimpath ./cmd/fnb -run '^$$' -bench 'Invoke|RunRequest|SaveToServing|ChangedSince' -benchtime 10x

bench-watchdog: ## measure the watchdog with wrk, against its upstream and a ReverseProxy; some minutes
	@tools/setup wrk
	go run ./cmd/fwatchdog/bench -rounds 5 -seconds 3

clean: ## remove what was built; the stand-ins' cache stays
	rm -rf bin packaging/watchdog/blobs packaging/watchdog/index.json packaging/watchdog/oci-layout
