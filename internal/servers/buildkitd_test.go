package servers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/moby/buildkit/client"
	"github.com/tonistiigi/fsutil"
)

func TestBuildkitdAnswers(t *testing.T) {
	t.Parallel()
	certs, err := MakeCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	mutual := []client.ClientOpt{
		client.WithServerConfig("127.0.0.1", certs.CA),
		client.WithCredentials(certs.ClientCert, certs.ClientKey),
	}
	tests := []struct {
		name     string
		opts     BuildkitdOptions
		client   []client.ClientOpt
		wantFail bool
	}{
		{name: "on a unix socket"},
		{name: "on a port", opts: BuildkitdOptions{TCP: true}},
		{name: "on a port with certificates", opts: BuildkitdOptions{TCP: true, TLS: certs}, client: mutual},
		{
			name: "on a port without the client's certificate", opts: BuildkitdOptions{TCP: true, TLS: certs},
			client: mutual[:1], wantFail: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := BuildkitdFor(t, tt.opts)
			c, err := client.New(t.Context(), b.Address, tt.client...)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			workers, err := c.ListWorkers(t.Context())
			if failed := err != nil; failed != tt.wantFail {
				t.Fatalf("listing workers: %v", err)
			}
			if !tt.wantFail && len(workers) != 1 {
				t.Errorf("%d workers, want 1", len(workers))
			}
		})
	}
}

// TestBases builds on every base image, with each kind of package installed by
// its ordinary client. It passes with the real registries too.
func TestBases(t *testing.T) {
	t.Parallel()
	bases := BasesFor(t, BasesOptions{})
	reg := RegistryFor(t, RegistryOptions{})
	b := BuildkitdFor(t, BuildkitdOptions{Mirrors: bases.Mirrors})
	c, err := client.New(t.Context(), b.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })

	tests := []struct {
		name, dockerfile, platform string
	}{
		{name: "debian", dockerfile: `FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
`},
		{name: "python", dockerfile: `FROM python:3.13-slim-bookworm
RUN pip install --no-cache-dir six && python -c 'import six' && python3 -m venv /venv && /venv/bin/pip install six
USER 1000
CMD ["python3", "-m", "http.server", "8080"]
`},
		{name: "node", dockerfile: `FROM node:24-bookworm-slim
WORKDIR /home/node
USER node
RUN npm install left-pad && node -e 'require("left-pad")' && test "$(id -u)" = 1000
`},
		{name: "go", dockerfile: `FROM golang:1.26-bookworm AS build
WORKDIR /src
RUN go mod init example.com/x && go get rsc.io/quote@v1.5.2 && \
    printf 'package main\nimport "rsc.io/quote"\nfunc main() { println(quote.Hello()) }\n' > main.go && \
    go mod tidy && CGO_ENABLED=0 go build -o /x . && git --version
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /x /x
CMD ["/x"]
`},
		{name: "openfaas", dockerfile: `ARG GO=1.25-alpine
FROM --platform=${TARGETPLATFORM:-linux/amd64} ghcr.io/openfaas/of-watchdog:0.11.3 AS watchdog
FROM --platform=${BUILDPLATFORM:-linux/amd64} golang:${GO} AS build
RUN apk --no-cache add git
COPY --from=watchdog /fwatchdog /usr/bin/fwatchdog
RUN chmod +x /usr/bin/fwatchdog && go version
FROM --platform=${TARGETPLATFORM:-linux/amd64} alpine:3.22.2
RUN apk --no-cache add ca-certificates && addgroup -S app && adduser -S -g app app && id app && test -d /home/app
COPY --from=build --chown=app /usr/bin/fwatchdog .
USER app
`},
		{name: "node-alpine", dockerfile: `FROM node:22-alpine
RUN apk --no-cache add curl && addgroup -S app && adduser app -S -G app && npm --version
`},
		{name: "platforms", platform: "linux/amd64,linux/arm64,linux/arm/v7", dockerfile: `FROM debian:bookworm-slim
COPY Dockerfile /Dockerfile
`},
		{name: "platforms-static", platform: "linux/amd64,linux/arm64,linux/arm/v7", dockerfile: `FROM gcr.io/distroless/static-debian12:nonroot
COPY Dockerfile /Dockerfile
`},
	}
	for _, tt := range tests {
		ok := t.Run(tt.name, func(t *testing.T) {
			ref := reg.Host + "/" + tt.name
			err := solve(t, c, ref, tt.dockerfile, tt.platform)
			for try := 0; err != nil && try < 2; try++ { // package registries fail now and then
				t.Log(err)
				err = solve(t, c, ref, tt.dockerfile, tt.platform)
			}
			if err != nil {
				t.Fatal(err)
			}
			checkPlatforms(t, ref, tt.platform)
		})
		if ok && tt.name == "python" {
			t.Run("runs", func(t *testing.T) { checkRuns(t, reg.Host+"/"+tt.name) })
		}
	}
}

// checkPlatforms checks that a reference with several platforms is an index
// with each.
func checkPlatforms(t *testing.T, text, platforms string) {
	t.Helper()
	if platforms == "" {
		return
	}
	ref, err := name.ParseReference(text)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(ref, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range manifest.Manifests {
		if m.Platform.OS != "unknown" { // an attestation
			got = append(got, m.Platform.String())
		}
	}
	if strings.Join(got, ",") != platforms {
		t.Errorf("platforms %v, want %s", got, platforms)
	}
}

// solve has a daemon build a Dockerfile and push the image in plain HTTP.
func solve(t *testing.T, c *client.Client, ref, dockerfile, platform string) error {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
		return err
	}
	local, err := fsutil.NewFS(dir)
	if err != nil {
		return err
	}
	attrs := map[string]string{}
	if platform != "" {
		attrs["platform"] = platform
	}
	_, err = c.Solve(t.Context(), nil, client.SolveOpt{
		Frontend:      "dockerfile.v0",
		FrontendAttrs: attrs,
		LocalMounts:   map[string]fsutil.FS{"context": local, "dockerfile": local},
		Exports: []client.ExportEntry{{Type: client.ExporterImage, Attrs: map[string]string{
			"name": ref, "push": "true", "registry.insecure": "true",
		}}},
	}, nil)
	return err
}
