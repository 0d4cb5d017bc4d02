package engine_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fnb/builder/engine"
)

// The engine is the one that docker uses: of DOCKER_HOST, of a context, or the usual one.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	context := func(name, text string) {
		t.Helper()
		sum := sha256.Sum256([]byte(name))
		write(filepath.Join("contexts", "meta", hex.EncodeToString(sum[:]), "meta.json"), text)
	}
	context("colima", `{"Name":"colima","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///home/a/docker.sock","SkipTLSVerify":false}}}`)
	context("far", `{"Name":"far","Endpoints":{"docker":{"Host":"ssh://a@b"}}}`)
	context("torn", `{"Name":`)
	for _, tt := range []struct{ host, context, config, want string }{
		{"", "", "", "unix:///var/run/docker.sock the Docker Engine /var/run/docker.sock"},
		{"", "", "{", "unix:///var/run/docker.sock the Docker Engine /var/run/docker.sock"},
		{"", "", `{"currentContext":"colima"}`, `unix:///home/a/docker.sock the Docker Engine of docker's context "colima" /home/a/docker.sock`},
		{"", "far", `{"currentContext":"colima"}`, `ssh://a@b the Docker Engine of docker's context "far" `},
		{"", "default", `{"currentContext":"colima"}`, "unix:///var/run/docker.sock the Docker Engine /var/run/docker.sock"},
		{"tcp://h:1", "far", `{"currentContext":"colima"}`, "tcp://h:1 the Docker Engine of DOCKER_HOST "},
		{"", "none", "", `docker's context "none": `},
		{"", "torn", "", `docker's context "torn": unexpected end of JSON`},
	} {
		for name, value := range map[string]string{"DOCKER_CONFIG": dir, "DOCKER_HOST": tt.host, "DOCKER_CONTEXT": tt.context} {
			t.Setenv(name, value)
		}
		write("config.json", tt.config)
		c, err := engine.Find()
		got := c.Host + " " + c.String() + " " + c.Socket()
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != tt.want || err != nil && !strings.HasPrefix(got, tt.want) {
			t.Errorf("%+v: %s", tt, got)
		}
		leads := "docker://" + c.Socket()
		if c.Host == "tcp://h:1" {
			leads = "docker://h:1"
		}
		u, failed := engine.Resolve(&url.URL{Scheme: "docker"})
		if wants := err == nil && c.Host != "ssh://a@b"; wants && (failed != nil || u.String() != leads) || !wants && failed == nil {
			t.Errorf("%+v: docker:// leads to %v, %v", tt, u, failed)
		}
	}
}
