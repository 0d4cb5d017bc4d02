package credentials_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"fnb/internal/fixture"
	"fnb/registry/credentials"
)

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

func writeFile(tb testing.TB, path, content string) string {
	tb.Helper()
	fixture.Must(tb, os.MkdirAll(filepath.Dir(path), 0o700))
	fixture.Must(tb, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestCredentialFiles(t *testing.T) {
	t.Parallel()
	docker := `{"auths": {
		"ghcr.io": {"auth": "` + basic("ada", "pa:ss") + `"},
		"https://index.docker.io/v1/": {"auth": "` + basic("hub", "hubpass") + `"},
		"https://old.example.com/v1/": {"username": "old", "password": "oldpass"},
		"azure.example.com": {"auth": "` + basic("00000000-0000-0000-0000-000000000000", "") + `", "identitytoken": "tok"},
		"empty.example.com": {}
	}}`
	podman := `{"auths": {
		"quay.io": {"auth": "` + basic("all", "of-quay") + `"},
		"quay.io/acme": {"auth": "` + basic("only", "acme") + `"},
		"ghcr.io": {"auth": "` + basic("late", "r") + `"}
	}}`
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "config.json"), docker)
	auth := writeFile(t, filepath.Join(dir, "containers", "auth.json"), podman)
	k := credentials.New(credentials.Options{DockerConfig: dir, AuthFiles: []string{filepath.Join(dir, "missing"), auth}})
	for host, want := range map[string][2]string{
		"ghcr.io":              {"ada", "pa:ss"},
		"docker.io":            {"hub", "hubpass"},
		"registry-1.docker.io": {"hub", "hubpass"},
		"index.docker.io":      {"hub", "hubpass"},
		"old.example.com":      {"old", "oldpass"},
		"azure.example.com":    {"", "tok"},
		"quay.io":              {"all", "of-quay"},
		"empty.example.com":    {"", ""},
		"unknown.example.com":  {"", ""},
	} {
		found, err := k.Find(t.Context(), credentials.RegistryOf(host), "")
		if err != nil {
			t.Errorf("%s: %v", host, err)
		}
		got := [2]string{found.Username, found.Password}
		if found.IdentityToken != "" {
			got = [2]string{"", found.IdentityToken}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
	for repository, want := range map[string]string{"quay.io/acme/hello": "only", "quay.io/other/hello": "all"} {
		repo, err := name.NewRepository(repository)
		fixture.Must(t, err)
		a, err := k.ResolveContext(t.Context(), repo)
		fixture.Must(t, err)
		got, err := a.Authorization()
		if err != nil || got.Username != want {
			t.Errorf("%s: %+v, %v", repository, got, err)
		}
	}
}

func TestBadCredentialFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, content, want string }{
		{"not JSON", `{"auths": s3cret`, "is not the JSON"},
		{"not base64", `{"auths": {"ghcr.io": {"auth": "s3cret!"}}}`, "malformed"},
		{"no colon", `{"auths": {"ghcr.io": {"auth": "czNjcmV0"}}}`, "malformed"},
		{"a helper with a path", `{"credHelpers": {"ghcr.io": "../../s3cret"}}`, "not the name"},
		{"a helper that is not there", `{"credHelpers": {"ghcr.io": "fnb-is-not-there"}}`, "docker-credential-fnb-is-not-there get: is not installed"},
	} {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "config.json"), test.content)
		_, err := credentials.New(credentials.Options{DockerConfig: dir}).Find(t.Context(), "ghcr.io", "")
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "config.json"), "")
	if _, err := credentials.New(credentials.Options{DockerConfig: dir}).Find(t.Context(), "ghcr.io", ""); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}
