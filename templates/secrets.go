package templates

import (
	"path"
	"regexp"
	"strings"
)

// A Credential is how a file looks that lets whoever has it log in somewhere.
type Credential int

// What [LooksLikeCredential] says of a file.
const (
	NoCredential     Credential = iota
	LikelyCredential            // of a person or a service; a function may have a use for it
	LoginCredential             // what a person's own tools keep, and no image needs
)

// maxCredential is the size in bytes up to which a file is looked into.
const maxCredential = 64 << 10

// These are all of fnb's ideas of what a secret is called.
var (
	secretWords  = regexp.MustCompile(`(?i)(^|_)(api_?key|auth|credentials?|password|passwd|pword|private_?key|secrets?|token|access_?key)(_|$)`)
	aboutSecrets = regexp.MustCompile(`(?i)_(url|uri|endpoint|host|port|path|file|dir|name|id|header|mode|type|method|scope|realm|audience|issuer|ttl|expiry|timeout|debug|local|enabled|disabled)$|(^|_)public_`)
	plainValue   = regexp.MustCompile(`(?i)^(|true|false|yes|no|on|off|[0-9]{1,6}[a-z]{0,2})$`)

	loginFile    = regexp.MustCompile(`(?i)(^|/)(\.git-credentials|\.dockercfg|\.docker/config\.json|\.aws/credentials|\.kube/config|\.config/gcloud/[^/]*(credentials|tokens)[^/]*|\.azure/(accesstokens|msal_token_cache)\.[^/]+|\.config/gh/hosts\.yml)$`)
	likelyFile   = regexp.MustCompile(`(?i)(^|/)(\.env(\.[^/]+)?|\.envrc|[._]netrc|id_(rsa|dsa|ecdsa|ed25519)(_sk)?|[^/]*kubeconfig(\.[^/]+)?|\.vault-token)$`)
	exampleFile  = regexp.MustCompile(`(?i)[._-](example|sample|template|dist|defaults?|schema|test)$`)
	tellingFile  = regexp.MustCompile(`(?i)(^|/)(\.npmrc|\.yarnrc(\.yml)?|\.pypirc|pip\.(conf|ini)|[^/]*\.(pem|key)|[^/]*(account|credential|adminsdk|secret|key|gcp|gcloud|firebase)[^/]*\.json)$`)
	tellingText  = regexp.MustCompile(`(?i)(_authtoken|_auth|_password|npmauthtoken|npmauthident|password)\s*[:=]\s*["']?[^\s"'$]|://[^/\s:@]+:[^/\s@$]+@|-----BEGIN ([A-Z]+ )*PRIVATE KEY-----`)
	somebodyElse = regexp.MustCompile(`(^|/)(node_modules|vendor|site-packages)/`)
)

// LooksSecret reports whether a variable or a build arg with this name and value is
// likely not for everybody. What only says where a secret is, or how long it lives, is
// none; nor is a value such as true or 30s. A value that is not known is "?".
func LooksSecret(name, value string) bool {
	return secretWords.MatchString(name) && !aboutSecrets.MatchString(name) && !plainValue.MatchString(value)
}

// LooksLikeCredential says how the file at a slash-separated path looks; read, which
// returns its contents, is asked only where the name alone does not tell, and nothing is
// made of a file that cannot be read. Packages of others that were copied in tell nothing.
func LooksLikeCredential(name string, size int64, read func() ([]byte, error)) Credential {
	base := strings.ToLower(path.Base(name))
	switch {
	case loginFile.MatchString(name):
		return LoginCredential
	case somebodyElse.MatchString(name):
		return NoCredential
	case likelyFile.MatchString(name):
		if exampleFile.MatchString(base) {
			return NoCredential
		}
		return LikelyCredential
	case size > maxCredential || !tellingFile.MatchString(name):
		return NoCredential
	}
	if data, err := read(); err == nil && tellingText.Match(data) {
		return LikelyCredential
	}
	return NoCredential
}
