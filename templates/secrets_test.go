package templates

import (
	"errors"
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
	if got := LooksLikeCredential("tls.key", 1, func() ([]byte, error) { return nil, errors.New("no") }); got != NoCredential {
		t.Error("a file that cannot be read is a credential")
	}
}
