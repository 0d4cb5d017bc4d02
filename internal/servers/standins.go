package servers

import (
	"runtime"
	"slices"
	"strings"
)

// A standin describes one stand-in image.
type standin struct {
	ref       string   // what it answers to: registry/repository:tag
	layers    []string // names of layers, see layerMakers
	env       []string
	user, dir string
	cmd       []string
	what      string   // what it is made of, for its label
	foreign   []string // further platforms, whose programs cannot be run
}

// repository returns the reference without the registry's name.
func (s standin) repository() string {
	_, rest, _ := strings.Cut(s.ref, "/")
	return rest
}

// native reports whether it compiles, on the builder's platform, for whichever.
func (s standin) native() bool {
	return slices.ContainsFunc(s.layers, func(layer string) bool { return layer == "go" || strings.HasPrefix(layer, "jdk") })
}

const (
	systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	goPath     = "/go/bin:/usr/local/go/bin:" + systemPath
	rustPath   = "/usr/local/cargo/bin:" + systemPath
)

// standins lists the stand-ins: for the base images of fnb's own templates, of
// Dockerfiles written for OpenFaaS, and of the tests.
func standins() []standin {
	debian := []string{"PATH=" + systemPath}
	golang := []string{"PATH=" + goPath, "GOPATH=/go", "GOTOOLCHAIN=local"}
	rust := []string{"PATH=" + rustPath, "RUSTUP_HOME=/usr/local/rustup", "CARGO_HOME=/usr/local/cargo"}
	python := []string{"PATH=" + systemPath, "LANG=C.UTF-8"}
	maven := []string{"PATH=" + systemPath, "MAVEN_HOME=/usr/share/maven"}
	bash := []string{"bash"}
	foreign := slices.DeleteFunc([]string{"linux/amd64", "linux/arm64", "linux/arm/v7"},
		func(p string) bool { return p == "linux/"+runtime.GOARCH })
	return append(serviceStandins(), []standin{
		{
			ref: "docker.io/library/debian:bookworm-slim", layers: []string{"debian"}, env: debian, cmd: bash,
			what: "Debian bookworm", foreign: foreign,
		},
		{
			ref: "docker.io/library/golang:1.26-bookworm", layers: []string{"debian", "git", "go"}, env: golang, dir: "/go", cmd: bash,
			what: "Debian bookworm with git and this machine's Go, without a C compiler",
		},
		{
			ref: "docker.io/library/python:3.13-slim-bookworm", layers: []string{"debian", "python"}, env: python, cmd: []string{"python3"},
			what: "Debian bookworm with Debian's Python and pip",
		},
		{
			ref: "docker.io/library/node:24-bookworm-slim", layers: []string{"debian", "node"}, env: debian, cmd: []string{"node"},
			what: "Debian bookworm with Node 24 and npm as published on npm",
		},
		{
			ref: "docker.io/oven/bun:1.4-slim", layers: []string{"debian", "bun"}, env: debian, cmd: []string{"bun"},
			what: "Debian bookworm with Bun 1.4 as published on npm",
		},
		{
			ref: "docker.io/denoland/deno:debian-2.9.6", layers: []string{"debian", "deno"}, env: debian, cmd: []string{"deno"},
			what: "Debian bookworm with Deno 2.9.6 as published on npm",
		},
		{
			ref: "gcr.io/distroless/static-debian12:nonroot", layers: []string{"static"}, user: "65532", dir: "/home/nonroot",
			env: []string{"PATH=" + systemPath}, what: "an empty root with users and certificates", foreign: foreign,
		},
		{
			ref: "docker.io/library/rust:1.95-bookworm", layers: []string{"debian", "cc", "rust"}, env: rust, cmd: bash,
			what: "Debian bookworm with gcc and this machine's Rust, without rustup",
		},
		{
			ref: "gcr.io/distroless/cc-debian12:nonroot", layers: []string{"static", "libraries"}, user: "65532", dir: "/home/nonroot",
			env: []string{"PATH=" + systemPath}, what: "a root with users, certificates and the libraries of C, C++ and OpenSSL",
		},
		{
			ref: "docker.io/library/maven:3.9-eclipse-temurin-21", layers: []string{"trixie", "jdk21", "truststore"}, env: maven, cmd: bash,
			what: "Debian trixie with Debian's OpenJDK 21 and Maven",
		},
		{
			ref: "docker.io/library/maven:3.9-eclipse-temurin-25", layers: []string{"trixie", "jdk25", "truststore"}, env: maven, cmd: bash,
			what: "Debian trixie with Debian's OpenJDK 25 and Maven",
		},
		{
			ref: "docker.io/library/eclipse-temurin:21-jre", layers: []string{"trixie", "jre21", "truststore"}, env: debian, cmd: bash,
			what: "Debian trixie with Debian's OpenJDK 21",
		},
		{
			ref: "docker.io/library/eclipse-temurin:25-jre", layers: []string{"trixie", "jre25", "truststore"}, env: debian, cmd: bash,
			what: "Debian trixie with Debian's OpenJDK 25",
		},
		{
			ref: "docker.io/library/alpine:3.22.2", layers: []string{"debian", "alpine"}, env: debian, cmd: bash,
			what: "Debian bookworm with addgroup, adduser and apk by the Alpine names",
		},
		{
			ref: "docker.io/library/golang:1.25-alpine", layers: []string{"debian", "git", "go", "alpine"}, env: golang, dir: "/go", cmd: bash,
			what: "the golang stand-in with addgroup, adduser and apk by the Alpine names",
		},
		{
			ref: "docker.io/library/node:22-alpine", layers: []string{"debian", "node", "alpine"}, env: debian, cmd: []string{"node"},
			what: "the node stand-in with addgroup, adduser and apk by the Alpine names",
		},
		{ref: "ghcr.io/openfaas/of-watchdog:0.11.3", layers: []string{"watchdog"}, what: "fnb's own watchdog as /fwatchdog"},
		{ref: "ghcr.io/openfaas/of-watchdog:0.10.9", layers: []string{"watchdog"}, what: "fnb's own watchdog as /fwatchdog"},
	}...)
}

// certificates is where every stand-in has this machine's authorities: a file
// that installing Debian's ca-certificates does not write over.
const certificates = "/etc/ssl/fnb-standin/ca-certificates.crt"

// certificateEnv leads the clients that run in a stand-in to certificates.
func certificateEnv() []string {
	var env []string
	for _, name := range []string{
		"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "REQUESTS_CA_BUNDLE",
		"CARGO_HTTP_CAINFO", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE",
	} {
		env = append(env, name+"="+certificates)
	}
	return env
}

// Shell programs that give a Debian root the few commands that Dockerfiles
// written for Alpine call.
const (
	apkScript = `#!/bin/sh
echo "stand-in for Alpine: apk $* (nothing was installed)"
`
	addgroupScript = `#!/bin/sh
# addgroup [-g GID] [-S] GROUP, or addgroup USER GROUP
system= gid=
while getopts g:SD o; do
	case $o in
	g) gid="-g $OPTARG" ;;
	S) system=-r ;;
	esac
done
shift $((OPTIND - 1))
if [ $# -eq 2 ]; then exec usermod -a -G "$2" "$1"; fi
exec groupadd $system $gid "$1"
`
	adduserScript = `#!/bin/sh
# adduser [-h DIR] [-g GECOS] [-s SHELL] [-G GROUP] [-S] [-D] [-H] [-u UID] USER [GROUP]
system= home=-m dir= uid= group= shell="-s /bin/sh" gecos=
while getopts h:g:s:G:SDHu:k: o; do
	case $o in
	h) dir="-d $OPTARG" ;;
	g) gecos=$OPTARG ;;
	s) shell="-s $OPTARG" ;;
	G) group="-g $OPTARG" ;;
	S) system=-r ;;
	H) home=-M ;;
	u) uid="-u $OPTARG" ;;
	esac
done
shift $((OPTIND - 1))
if [ $# -eq 2 ]; then exec usermod -a -G "$2" "$1"; fi
if [ -z "$group" ] && getent group "$1" >/dev/null; then group="-g $1"; fi
exec useradd $system $home $dir $uid $group $shell -c "$gecos" "$1"
`
)
