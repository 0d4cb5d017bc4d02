package gitconfig

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http/httpproxy"

	"fnb/internal/plain"
	"fnb/origin"
)

// HTTP is what git's configuration says of one address.
type HTTP struct {
	proxy          *url.URL
	hasProxy       bool // proxy decides, also where it is nil
	caInfo, caPath string
	cert, key      string
	unverified     bool
	getenv         func(string) string

	UserAgent  string
	Headers    []Header
	Unfollowed []string // keys that say something, and are not followed
}

// A Header is one that is sent to an address.
type Header struct{ Name, Value string }

// unfollowedHTTP are keys of http that decide how a URL is reached, or who it is that
// answers, and that fnb does not follow.
func unfollowedHTTP() []string {
	return []string{"cookieFile", "proxyAuthMethod", "proxySSLCert", "proxySSLKey", "proxySSLCAInfo", "sslCertPasswordProtected", "emptyAuth", "delegation", "curloptResolve"}
}

// HTTP collects what is said of an address. As in git, a setting for a URL goes before
// one that is for less of it, and of equals the last one counts.
func (c *Config) HTTP(u *url.URL) (*HTTP, error) {
	h := &HTTP{getenv: c.getenv}
	best := map[string]urlFit{}
	for _, s := range c.settings {
		if s.section != "http" {
			continue
		}
		fit := urlFit{}
		if s.sub != "" {
			var ok bool
			if fit, ok = fitOf(s.sub, u); !ok {
				continue
			}
		}
		if old, seen := best[s.key]; seen && fit.less(old) {
			continue
		}
		best[s.key] = fit
		if err := h.set(s, c); err != nil {
			return nil, err
		}
	}
	h.environment()
	return h, nil
}

// A urlFit says how well the URL of a setting fits an address.
type urlFit struct {
	host, path int
	user       bool
}

func (f urlFit) less(o urlFit) bool {
	switch {
	case f.host != o.host:
		return f.host < o.host
	case f.path != o.path:
		return f.path < o.path
	}
	return !f.user && o.user
}

// fitOf compares as git does: scheme and port are the same, the host too, in which * is
// for one label, and the path is the address's or one above it.
func fitOf(pattern string, u *url.URL) (urlFit, bool) {
	p, err := url.Parse(pattern)
	if err != nil || p.Host == "" {
		return urlFit{}, false
	}
	want, have := origin.Of(p), origin.Of(u)
	if want.Scheme != have.Scheme || want.Port != have.Port {
		return urlFit{}, false
	}
	labels, here := strings.Split(want.Host, "."), strings.Split(have.Host, ".")
	if len(labels) != len(here) {
		return urlFit{}, false
	}
	for i, l := range labels {
		if l != "*" && l != here[i] {
			return urlFit{}, false
		}
	}
	fit := urlFit{host: len(want.Host), user: p.User != nil}
	if p.User != nil && p.User.Username() != u.User.Username() {
		return urlFit{}, false
	}
	path := strings.TrimRight(p.EscapedPath(), "/")
	if at := u.EscapedPath(); at != path && !strings.HasPrefix(at, path+"/") {
		return urlFit{}, false
	}
	fit.path = len(path)
	return fit, true
}

// set takes one setting.
func (h *HTTP) set(s setting, c *Config) error {
	switch s.key {
	case "proxy":
		return h.setProxy(s.value)
	case "sslcainfo":
		h.caInfo = c.path(s.value, "/")
	case "sslcapath":
		h.caPath = c.path(s.value, "/")
	case "sslcert":
		h.cert = c.path(s.value, "/")
	case "sslkey":
		h.key = c.path(s.value, "/")
	case "useragent":
		h.UserAgent = s.value
	case "sslverify":
		h.verify(isTrue(s.value), s.sub != "", "http.sslVerify")
	case "extraheader":
		return h.addHeader(s)
	case "pinnedpubkey":
		if s.value != "" {
			return errors.New("git's configuration has http.pinnedPubkey for it, which fnb does not follow")
		}
	case "followredirects":
		if s.value != "initial" && isTrue(s.value) {
			h.Unfollowed = append(h.Unfollowed, "http.followRedirects=true")
		}
	}
	if i := slices.IndexFunc(unfollowedHTTP(), func(k string) bool { return strings.EqualFold(k, s.key) }); i >= 0 {
		h.Unfollowed = append(h.Unfollowed, "http."+unfollowedHTTP()[i])
	}
	return nil
}

// verify lets a server go unverified that the user has named for that.
func (h *HTTP) verify(yes, scoped bool, key string) {
	if !yes && !scoped {
		h.Unfollowed = append(h.Unfollowed, key+" for all hosts (what is followed is http.https://HOST/.sslVerify)")
		return
	}
	h.unverified = !yes
}

// addHeader takes a header for the hosts that it is for. One that is for all would go to
// whoever a store or a stack names.
func (h *HTTP) addHeader(s setting) error {
	if s.value == "" {
		h.Headers = nil
		return nil
	}
	if s.sub == "" {
		h.Unfollowed = append(h.Unfollowed, "http.extraHeader for all hosts (what is followed is http.https://HOST/.extraHeader)")
		return nil
	}
	name, value, ok := strings.Cut(s.value, ":")
	value = strings.TrimSpace(value)
	if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		return fmt.Errorf("http.%s.extraHeader of git's configuration is not a header", plain.Short(s.sub))
	}
	h.Headers = append(h.Headers, Header{name, value})
	return nil
}

// setProxy takes a proxy as curl does: HTTP where nothing else is said, none for "".
func (h *HTTP) setProxy(value string) error {
	h.hasProxy, h.proxy = true, nil
	if value == "" {
		return nil
	}
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" {
		return errors.New("http.proxy of git's configuration is not an address") // which may have a password in it
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return fmt.Errorf("http.proxy of git's configuration is of the kind %s, which fnb does not follow", plain.Short(u.Scheme))
	}
	h.proxy = u
	return nil
}

// environment takes what git's variables say, which goes before its files.
func (h *HTTP) environment() {
	for name, to := range map[string]*string{
		"GIT_SSL_CAINFO": &h.caInfo, "GIT_SSL_CAPATH": &h.caPath, "GIT_SSL_CERT": &h.cert, "GIT_SSL_KEY": &h.key, "GIT_HTTP_USER_AGENT": &h.UserAgent,
	} {
		if v := h.getenv(name); v != "" {
			*to = v
		}
	}
	if h.getenv("GIT_SSL_NO_VERIFY") != "" {
		h.verify(false, false, "GIT_SSL_NO_VERIFY")
	}
}

// Apply makes a new transport do what is said; to a stranger no certificate is shown.
func (h *HTTP) Apply(t *http.Transport, stranger bool) error {
	if h.hasProxy {
		t.Proxy = h.byProxy()
	}
	if h.caInfo != "" || h.caPath != "" {
		pool, err := h.authorities(t.TLSClientConfig.RootCAs)
		if err != nil {
			return err
		}
		t.TLSClientConfig.RootCAs = pool
	}
	t.TLSClientConfig.InsecureSkipVerify = h.unverified //nolint:gosec // the user has said so of this host
	if h.cert == "" || stranger {
		return nil
	}
	key := h.key
	if key == "" {
		key = h.cert
	}
	cert, err := tls.LoadX509KeyPair(h.cert, key)
	if err != nil {
		return fmt.Errorf("http.sslCert of git's configuration: %w", err)
	}
	t.TLSClientConfig.Certificates = []tls.Certificate{cert}
	return nil
}

// Shows reports whether something in the settings tells who asks.
func (h *HTTP) Shows() bool { return len(h.Headers) > 0 || h.cert != "" }

// byProxy goes by the proxy, but to the hosts in NO_PROXY.
func (h *HTTP) byProxy() func(*http.Request) (*url.URL, error) {
	no := h.getenv("NO_PROXY")
	if no == "" {
		no = h.getenv("no_proxy")
	}
	excepted := (&httpproxy.Config{HTTPProxy: "http://proxy.invalid", HTTPSProxy: "http://proxy.invalid", NoProxy: no}).ProxyFunc()
	return func(r *http.Request) (*url.URL, error) {
		if h.proxy == nil {
			return nil, nil
		}
		if origin.IsLoopback(r.URL.Host) { // which httpproxy never goes to by a proxy
			listed := slices.ContainsFunc(strings.Split(no, ","), func(n string) bool {
				n = strings.TrimSpace(n)
				return n == "*" || n == r.URL.Hostname() || n == r.URL.Host
			})
			if listed {
				return nil, nil
			}
			return h.proxy, nil
		}
		if at, err := excepted(r.URL); err != nil || at == nil {
			return nil, err
		}
		return h.proxy, nil
	}
}

// authorities are the named ones beside those that are trusted anyway.
func (h *HTTP) authorities(base *x509.CertPool) (*x509.CertPool, error) {
	pool := base
	if pool != nil {
		pool = pool.Clone()
	} else if pool, _ = x509.SystemCertPool(); pool == nil { // a machine without any
		pool = x509.NewCertPool()
	}
	files := []string{h.caInfo}
	if h.caInfo == "" {
		files = nil
	}
	if h.caPath != "" {
		entries, err := os.ReadDir(h.caPath)
		if err != nil {
			return nil, fmt.Errorf("http.sslCAPath of git's configuration: %w", err)
		}
		for _, e := range entries {
			files = append(files, filepath.Join(h.caPath, e.Name()))
		}
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil && file == h.caInfo {
			return nil, fmt.Errorf("http.sslCAInfo of git's configuration: %w", err)
		}
		if !pool.AppendCertsFromPEM(data) && file == h.caInfo {
			return nil, fmt.Errorf("http.sslCAInfo of git's configuration: %s has no certificates", file)
		}
	}
	return pool, nil
}
