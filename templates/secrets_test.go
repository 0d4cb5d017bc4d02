package templates

import (
	"errors"
	"strings"
	"testing"
)

func TestLooksSecret(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"API_TOKEN": true, "DB_AUTH": true, "token": true, "AWS_SECRET_ACCESS_KEY": true, "apikey": true, "PASSWORD_1": true, "NPM_PWORD": true, "SECRETS": true,
		"TOKEN_URL": false, "SECRET_FILE": false, "auth_mode": false, "jwt_auth_debug": false, "PUBLIC_TOKEN": false, "AUTHOR": false, "KEYBOARD": false, "TOKENIZER": false, "": false,
	} {
		if got := LooksSecret(name, "?"); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
	for value, want := range map[string]bool{"": false, "true": false, "Off": false, "30s": false, "8080": false, "hunter2": true, "1234567": true} {
		if got := LooksSecret("jwt_auth", value); got != want {
			t.Errorf("jwt_auth=%s: %t", value, got)
		}
	}
}

func TestLooksLikeCredential(t *testing.T) {
	t.Parallel()
	key := "-----BEGIN OPENSSH PRIVATE KEY-----\n"
	account := `{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\nx"}`
	for _, c := range []struct {
		name, text string
		want       Credential
	}{
		{".git-credentials", "", LoginCredential},
		{"a/.aws/credentials", "", LoginCredential},
		{".docker/config.json", "", LoginCredential},
		{".kube/config", "", LoginCredential},
		{".config/gcloud/application_default_credentials.json", "", LoginCredential},
		{"node_modules/a/.git-credentials", "", LoginCredential},
		{".env", "", LikelyCredential},
		{".ENV", "", LikelyCredential},
		{"a/.env.production", "", LikelyCredential},
		{".netrc", "", LikelyCredential},
		{"ssh/id_rsa", "", LikelyCredential},
		{"id_ed25519_sk", "", LikelyCredential},
		{"prod.kubeconfig", "", LikelyCredential},
		{"kubeconfig.yaml", "", LikelyCredential},
		{".env.example", "", NoCredential},
		{"id_rsa.pub", "", NoCredential},
		{"environment.env.go", "", NoCredential},
		{"aws/credentials", "", NoCredential},
		{"config.json", "", NoCredential},
		{".npmrc", "//npm.example.com/:_authToken=npm_abc\n", LikelyCredential},
		{".npmrc", "//npm.example.com/:_authToken=${NPM_TOKEN}\n", NoCredential},
		{".npmrc", "registry=https://example.com\n", NoCredential},
		{".yarnrc.yml", "npmAuthToken: \"abc\"\n", LikelyCredential},
		{".yarnrc.yml", "nodeLinker: node-modules\n", NoCredential},
		{"pip.conf", "index-url = https://me:secret@example.com/simple\n", LikelyCredential},
		{"npmrc", "//npm.example.com/:_authToken=npm_abc\n", LikelyCredential},
		{"a/.npmrc.ci", "_auth = YWJj\n", LikelyCredential},
		{".npmrc.example", "_auth = YWJj\n", NoCredential},
		{"bunfig.toml", "[install.scopes]\nacme = { token = \"abc\", url = \"https://npm.example.com\" }\n", LikelyCredential},
		{"bunfig.toml", "[install]\nregistry = { url = \"https://npm.example.com\", token = \"$NPM_TOKEN\" }\n", NoCredential},
		{"bunfig.toml", "[install]\nregistry = \"https://me:secret@npm.example.com\"\n", LikelyCredential},
		{"uv.toml", "[[index]]\nurl = \"https://me:secret@example.com/simple\"\n", LikelyCredential},
		{"uv.toml", "[[index]]\nurl = \"https://example.com/simple\"\n", NoCredential},
		{"auth.toml", "[http-basic.acme]\nusername = \"me\"\npassword = \"secret\"\n", LikelyCredential},
		{".cargo/credentials", "[registry]\ntoken = \"abc\"\n", LikelyCredential},
		{".cargo/credentials.toml", "[registries.acme]\ntoken = \"abc\"\n", LikelyCredential},
		{".cargo/config.toml", "[registries.acme]\nindex = \"sparse+https://example.com/\"\n", NoCredential},
		{"settings.xml", "<server><id>a</id><password>secret</password></server>", LikelyCredential},
		{".m2/settings.xml", "<server><password>${env.PASSWORD}</password></server>", NoCredential},
		{"ci-settings.xml", "<passphrase>\n  secret</passphrase>", LikelyCredential},
		{"gradle.properties", "acmePassword=secret\n", LikelyCredential},
		{"gradle.properties", "org.gradle.jvmargs=-Xmx1g\n", NoCredential},
		{"nuget.config", `<add key="ClearTextPassword" value="secret" />`, LikelyCredential},
		{"nuget.config", `<add key="ClearTextPassword" value="%PASSWORD%" />`, NoCredential},
		{"auth.json", `{"http-basic": {"example.com": {"username": "me", "password": "secret"}}}`, LikelyCredential},
		{"go.env", "GOPROXY=https://me:secret@proxy.example.com\n", LikelyCredential},
		{"requirements.txt", "--index-url https://me:secret@example.com/simple\nflask\n", ListCredential},
		{"requirements.txt", "--index-url https://${USER}:${TOKEN}@example.com/simple\nflask\n", NoCredential},
		{"requirements.txt", "# such as https://USER:<token>@example.com/simple\nflask\n", NoCredential},
		{"dev-requirements.txt", "lib @ git+https://ghp_abcdef@github.com/acme/lib\n", ListCredential},
		{"requirements/base.txt", "lib @ git+https://oauth2:glpat-abc@gitlab.com/acme/lib\n", ListCredential},
		{"requirements.txt", "lib @ git+ssh://git@github.com/acme/lib\n", NoCredential},
		{"a/pyproject.toml", "[[tool.uv.index]]\nurl = \"https://me:secret@example.com/simple\"\n", ListCredential},
		{"package-lock.json", `{"resolved": "https://me:secret@npm.example.com/a/-/a-1.0.0.tgz"}`, ListCredential},
		{"package-lock.json", `{"resolved": "https://npm.example.com/@acme/a/-/a-1.0.0.tgz", "x": "a:b@c"}`, NoCredential},
		{"package.json", `{"dependencies": {"a": "git+https://glpat-abc_d@gitlab.com/acme/a.git"}}`, ListCredential},
		{"yarn.lock", "  resolved \"https://:token@npm.example.com/a.tgz\"\n", ListCredential},
		{"pnpm-lock.yaml", "tarball: https://me:secret@npm.example.com/a.tgz\n", ListCredential},
		{"Cargo.toml", "a = { git = \"https://me:secret@example.com/a\" }\n", ListCredential},
		{"deno.json", `{"imports": {"a": "https://me:secret@example.com/a.ts"}}`, ListCredential},
		{"pom.xml", "<url>https://me:secret@example.com/maven</url>", ListCredential},
		{"Pipfile", "url = \"https://me:secret@example.com/simple\"\n", ListCredential},
		{"node_modules/a/package.json", `{"x": "https://me:secret@example.com"}`, NoCredential},
		{"data.json", `{"x": "https://me:secret@example.com"}`, NoCredential},
		{"tls.key", key, LikelyCredential},
		{"ca.pem", "-----BEGIN CERTIFICATE-----\n", NoCredential},
		{"service-account.json", account, LikelyCredential},
		{"keys.json", "{}", NoCredential},
		{"node_modules/x/test/server.key", key, NoCredential},
		{"handler.py", key, NoCredential},
	} {
		got := LooksLikeCredential(c.name, int64(len(c.text)), func() ([]byte, error) { return []byte(c.text), nil })
		if got != c.want {
			t.Errorf("%s %q: %d, not %d", c.name, c.text, got, c.want)
		}
	}
	if got := LooksLikeCredential("tls.key", maxCredential+1, func() ([]byte, error) { t.Error("a large file was read"); return nil, nil }); got != NoCredential {
		t.Error("a large file is a credential")
	}
	if got := LooksLikeCredential("yarn.lock", maxList+1, func() ([]byte, error) { t.Error("a large lock was read"); return nil, nil }); got != NoCredential {
		t.Error("a large lock is a credential")
	}
	long := []byte(strings.Repeat("https://npm.example.com/a/-/a-1.0.0.tgz\n", 100_000) + "https://me:secret@example.com\n")
	if got := LooksLikeCredential("yarn.lock", int64(len(long)), func() ([]byte, error) { return long, nil }); got != ListCredential {
		t.Errorf("at the end of a long lock: %d", got)
	}
	if got := LooksLikeCredential("tls.key", 1, func() ([]byte, error) { return nil, errors.New("no") }); got != NoCredential {
		t.Error("a file that cannot be read is a credential")
	}
}
