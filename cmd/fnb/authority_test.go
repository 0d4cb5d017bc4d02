package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha512"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// companySteps fetch from a company's server with one program after another, as root and as
// somebody else. What they fetched is the image.
const companySteps = `FROM debian:bookworm-slim AS tools
ARG SERVER ONCE
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends curl wget git >/dev/null && mkdir /out
RUN curl -fsS https://$SERVER/file -o /out/curl && wget -q https://$SERVER/file -O /out/wget
RUN git clone -q https://$SERVER/repo.git /tmp/repo && cp /tmp/repo/file /out/git
RUN /usr/lib/apt/apt-helper download-file https://$SERVER/file /tmp/apt && cp /tmp/apt /out/apt

` + pythonSteps + `
FROM node:24-bookworm-slim AS node
ARG SERVER ONCE
WORKDIR /work
RUN mkdir /out && npm install --silent --registry https://$SERVER/npm/ companypkg@1.0.0 && cp node_modules/companypkg/index.js /out/npm
RUN node -e "fetch('https://$SERVER/file').then(r => r.text()).then(t => require('fs').writeFileSync('/out/fetch', t))"

FROM debian:bookworm-slim
COPY --from=tools /out /out
COPY --from=python /out /out
COPY --from=node /out /out
CMD ["cat"]
`

// pythonSteps also fetch from the registry of everybody, which is still trusted.
const pythonSteps = `FROM python:3.13-slim-bookworm AS python
ARG SERVER ONCE
RUN mkdir /out && chmod 777 /out && pip install -q --no-deps --no-compile --index-url https://$SERVER/simple/ --target /out/pip companypkg==1.0 && rm -rf /out/pip/*.dist-info
USER 4321:4321
RUN python3 -c "import urllib.request as u; open('/out/urllib', 'wb').write(u.urlopen('https://$SERVER/file').read())"
USER 0
RUN pip download -q --no-cache-dir --no-deps -d /tmp/download humanize==4.9.0 && rm -r /tmp/download
`

// A company is a server of files and packages behind a certificate of its own authority.
type company struct {
	addr string // host:port
	ca   string // the file with its authority's certificate
}

// newCompany starts one at an address; "" is any.
func newCompany(t *testing.T, address string) company {
	t.Helper()
	dir := t.TempDir()
	certs, err := servers.MakeCerts(dir)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(certs.ServerCert, certs.ServerKey)
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "www")
	repositories := servers.GitFor(t, servers.GitOptions{})
	if _, err := repositories.Commit(t.Context(), "repo", servers.Commit{Files: "-- file --\ncompany"}); err != nil {
		t.Fatal(err)
	}
	tgz := npmPackage(t)
	sum := sha512.Sum512(tgz)
	for name, data := range map[string][]byte{
		"file": []byte("company"), "simple/companypkg/companypkg-1.0-py3-none-any.whl": wheel(t), "npm/companypkg.tgz": tgz,
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := http.FileServer(http.Dir(root))
	public := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case strings.HasPrefix(path, "/repo.git/"):
			repositories.Handler().ServeHTTP(w, r)
		case path == "/simple/companypkg/":
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, `<a href="companypkg-1.0-py3-none-any.whl">companypkg-1.0-py3-none-any.whl</a>`)
		case path == "/npm/companypkg":
			_ = json.NewEncoder(w).Encode(map[string]any{"name": "companypkg", "dist-tags": map[string]string{"latest": "1.0.0"}, "versions": map[string]any{"1.0.0": map[string]any{
				"name": "companypkg", "version": "1.0.0",
				"dist": map[string]string{"tarball": "https://" + r.Host + "/npm/companypkg.tgz", "integrity": "sha512-" + base64.StdEncoding.EncodeToString(sum[:])},
			}}})
		default:
			files.ServeHTTP(w, r)
		}
	})
	// What is below /private/ is the same, for those who have the password.
	private := http.StripPrefix("/private", public)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case !strings.HasPrefix(r.URL.Path, "/private/"):
			public.ServeHTTP(w, r)
		case user != "ann" || password != "sesame":
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
		default:
			private.ServeHTTP(w, r)
		}
	}))
	if address != "" {
		_ = s.Listener.Close() // which has any port
		if s.Listener, err = new(net.ListenConfig).Listen(t.Context(), "tcp", address); err != nil {
			t.Fatal(err)
		}
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // steps that do not trust it are a part of the test
	s.StartTLS()
	t.Cleanup(s.Close)
	return company{addr: s.Listener.Addr().(*net.TCPAddr).String(), ca: certs.CA}
}

// wheel is a package of Python's.
func wheel(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	const info = "companypkg-1.0.dist-info/"
	for _, f := range [][2]string{
		{"companypkg.py", "company"},
		{info + "METADATA", "Metadata-Version: 2.1\nName: companypkg\nVersion: 1.0\n"},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", "companypkg.py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n"},
	} {
		w, err := z.Create(f[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// npmPackage is a package of npm's.
func npmPackage(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	for _, f := range [][2]string{{"package/package.json", `{"name": "companypkg", "version": "1.0.0"}`}, {"package/index.js", "company"}} {
		if err := w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestBuildAuthority builds what is fetched from a company's server, with fnb's own builder
// and with another one: no step trusts it before it is told to, and then all do, who go on to
// trust the registries of everybody. Neither the image nor, in fnb's own builder, the cache
// tells of it.
func TestBuildAuthority(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	c := newCompany(t, r.company)
	own := newUser(t, r)
	other := newUser(t, r, "FNB_BUILDER="+r.stockBuilder(t))
	once := rand.Text() // no builder has run these steps
	functions := map[string]string{"plain": "FROM debian:bookworm-slim\nRUN mkdir /out && echo 1 >/tmp/x\nCMD [\"cat\"]\n", "small": pythonSteps + "CMD [\"cat\"]\n", "whole": companySteps}
	made := map[string]string{}
	for name, u := range map[string]*fnbUser{"own": own, "other": other} {
		stack := "functions:\n"
		for fn, dockerfile := range functions {
			if err := os.Mkdir(filepath.Join(u.dir, fn), 0o750); err != nil {
				t.Fatal(err)
			}
			u.write(fn+"/Dockerfile", dockerfile)
			stack += fmt.Sprintf("  %s: {lang: dockerfile, handler: ./%s, image: '%s/authority/%s-%s:1', build_args: {SERVER: '%s', ONCE: '%s'}}\n", fn, fn, r.registry.Host, name, fn, c.addr, once)
		}
		u.write("stack.yaml", stack)
		if out, ok := u.try("build", "small"); ok || !strings.Contains(strings.ToLower(out), "certificate") {
			t.Fatalf("%s: without its authority the server is trusted: %s", name, out)
		}
		made[name] = digests(u.run("build", "small", "--push", "--no-input-tag", "--build-ca", c.ca))["small"]
	}
	if made["own"] == "" || made["own"] != made["other"] {
		t.Errorf("the images are %v", made)
	}
	with, without := digests(own.run("build", "plain", "--push", "--no-input-tag", "--build-ca", c.ca)), digests(other.run("build", "plain", "--push", "--no-input-tag"))
	if with["plain"] == "" || with["plain"] != without["plain"] {
		t.Errorf("an image that needs no certificate is %v with one and %v without", with, without)
	}
	whole := digests(own.run("build", "whole", "--push", "--no-input-tag", "--build-ca", c.ca))["whole"]
	// The steps are cached now, with or without.
	report := filepath.Join(own.dir, "report.json")
	if digest := digests(own.run("build", "whole", "--push", "--no-input-tag", "--tag", "again", "--report", report))["whole"]; digest != whole {
		t.Errorf("without the authority it is %s", digest)
	}
	if data, err := os.ReadFile(report); err != nil || !strings.Contains(string(data), `"cached": true`) {
		t.Errorf("the steps were run again: %s, %v", data, err)
	}
	authority, err := os.ReadFile(c.ca)
	if err != nil {
		t.Fatal(err)
	}
	noTrace(t, r.registry.Host+"/authority/own-whole:1", "fnb-trust", strings.Split(string(authority), "\n")[2])
}

// try calls fnb and returns all that it prints, and whether it did what it was told.
func (u *fnbUser) try(args ...string) (string, bool) {
	cmd := exec.Command(u.bin, args...) // the test's own context is over when it cleans up
	cmd.Dir, cmd.Env = u.dir, u.env
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// noTrace fails where an image has one of the texts anywhere, and checks what the steps
// fetched.
func noTrace(t *testing.T, ref string, texts ...string) {
	t.Helper()
	img, err := pullImage(ref, "linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	fetched := map[string]string{}
	all := map[string][]byte{"the configuration": config}
	for i, l := range layers {
		rc, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		all[fmt.Sprint("layer ", i)] = data
		for h, r := range fixture.Entries(t, bytes.NewReader(data)) {
			if strings.HasPrefix(h.Name, "out/") && h.Typeflag == tar.TypeReg {
				content, _ := io.ReadAll(r)
				fetched[strings.TrimPrefix(h.Name, "out/")] = strings.TrimSpace(string(content))
			}
		}
	}
	for where, data := range all {
		for _, text := range texts {
			if bytes.Contains(data, []byte(text)) {
				t.Errorf("%s has %q", where, text)
			}
		}
	}
	for name, want := range map[string]string{
		"curl": "company", "wget": "company", "git": "company", "apt": "company", "pip/companypkg.py": "company",
		"urllib": "company", "npm": "company", "fetch": "company",
	} {
		if fetched[name] != want {
			t.Errorf("%s fetched %q, want %q", name, fetched[name], want)
		}
	}
}
