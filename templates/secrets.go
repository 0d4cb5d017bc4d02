package templates

import (
	"path"
	"regexp"
	"strings"

	"fnb/internal/lazyregexp"
	"fnb/schema/languages"
)

// A Credential is how a file looks that lets whoever has it log in somewhere.
type Credential int

// What [LooksLikeCredential] says of a file.
const (
	NoCredential     Credential = iota
	LikelyCredential            // of a person or a service; a function may have a use for it
	ListCredential              // a package list or a lock, of which a URL has a login in it
	LoginCredential             // what a person's own tools keep, and no image needs
)

// The sizes in bytes up to which files are looked into.
const (
	maxCredential = 64 << 10
	maxList       = 16 << 20 // of package lists and locks
)

// These are all of fnb's ideas of what a secret is called.
var (
	secretWords  = lazyregexp.New(`(?i)(^|_)(api_?key|auth|credentials?|password|passwd|pword|private_?key|secrets?|token|access_?key)(_|$)`)
	aboutSecrets = lazyregexp.New(`(?i)_(url|uri|endpoint|host|port|path|file|dir|name|id|header|mode|type|method|scope|realm|audience|issuer|ttl|expiry|timeout|debug|local|enabled|disabled)$|(^|_)public_`)
	plainValue   = lazyregexp.New(`(?i)^(|true|false|yes|no|on|off|[0-9]{1,6}[a-z]{0,2})$`)

	loginFile    = lazyregexp.New(`(?i)(^|/)(\.git-credentials|\.dockercfg|\.docker/config\.json|\.aws/credentials|\.kube/config|\.config/gcloud/[^/]*(credentials|tokens)[^/]*|\.azure/(accesstokens|msal_token_cache)\.[^/]+|\.config/gh/hosts\.yml)$`)
	likelyFile   = lazyregexp.New(`(?i)(^|/)(\.env(\.[^/]+)?|\.envrc|[._]netrc|id_(rsa|dsa|ecdsa|ed25519)(_sk)?|[^/]*kubeconfig(\.[^/]+)?|\.vault-token)$`)
	exampleFile  = lazyregexp.New(`(?i)[._-](example|sample|template|dist|defaults?|schema|test)$`)
	tellingFile  = lazyregexp.New(`(?i)(^|/)(` + toolFiles + `|[^/]*\.(pem|key)|[^/]*(account|credential|adminsdk|secret|key|gcp|gcloud|firebase)[^/]*\.json)$`)
	tellingText  = lazyregexp.New(`(?i)(_authtoken|_auth|_password|npmauthtoken|npmauthident|password|\btoken)["']?\s*[:=]\s*["']?[^\s"'${<%]|<(password|passphrase|privatekey)>\s*[^\s<$]|cleartextpassword"\s+value="[^"%]|-----BEGIN ([A-Z]+ )*PRIVATE KEY-----|` + urlLogin)
	listFile     = lazyregexp.New(`(?i)(^|/)(` + packageLists() + `|([^/]*requirements[^/]*|constraints[^/]*)\.(txt|in)|requirements/[^/]+\.(txt|in)|pylock\.[^/]+\.toml|pnpm-workspace\.yaml|import_map\.json)$`)
	listText     = lazyregexp.New(urlLogin)
	somebodyElse = lazyregexp.New(`(^|/)(node_modules|vendor|site-packages)/`)
)

const (
	// toolFiles are the settings of package managers.
	toolFiles = `\.?npmrc(\.[^/]+)?|\.yarnrc(\.yml)?|bunfig\.toml|` + // npm, pnpm, Yarn, Bun
		`\.pypirc|\.?pip\.(conf|ini)|uv\.toml|(poetry|auth)\.toml|\.?pdm\.toml|\.condarc|` + // Python
		`\.cargo/(credentials|config)(\.toml)?|go\.env|` + // Rust, Go
		`[^/]*settings(-security)?\.xml|gradle\.properties|` + // Maven, Gradle
		`auth\.json|nuget\.config|\.gem/credentials|\.bundle/config` // Composer, .NET, Ruby
	// urlLogin is a URL with a user and a password, or with a token in the place of the user. What a variable or a reader
	// is to put in is none.
	urlLogin = `://([^/\s:@"'<>{$]*:[^/\s@"'<>{$]+|(ghp|gho|ghu|ghs|github_pat)_[0-9A-Za-z_]+|glpat-[0-9A-Za-z_-]+)@`
)

// packageLists is a pattern for the package lists of all languages, and their locks.
func packageLists() string {
	names := languages.Locks()
	for _, l := range languages.All() {
		for _, list := range l.Lists {
			names = append(names, list.Manifest)
		}
	}
	for i, name := range names {
		names[i] = regexp.QuoteMeta(name)
	}
	return strings.Join(names, "|")
}

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
	}
	text, most, looks := tellingText, int64(maxCredential), LikelyCredential
	switch {
	case tellingFile.MatchString(name) && !exampleFile.MatchString(base):
	case listFile.MatchString(name):
		text, most, looks = listText, maxList, ListCredential
	default:
		return NoCredential
	}
	if size > most {
		return NoCredential
	}
	if data, err := read(); err == nil && text.Match(data) {
		return looks
	}
	return NoCredential
}
