package store

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

// httpSettings are what git's configuration says of one address.
type httpSettings struct {
	proxy          *url.URL
	hasProxy       bool // proxy decides, also where it is nil
	caInfo, caPath string
	cert, key      string
	unverified     bool
	userAgent      string
	headers        []httpHeader
	unfollowed     []string // keys that say something, and are not followed
}

type httpHeader struct{ name, value string }

// unfollowedHTTP are keys of http that decide how a URL is reached, or who it is that
// answers, and that fnb does not follow.
func unfollowedHTTP() []string {
	return []string{"cookieFile", "proxyAuthMethod", "proxySSLCert", "proxySSLKey", "proxySSLCAInfo", "sslCertPasswordProtected", "emptyAuth", "delegation", "curloptResolve"}
}

// http collects what is said of an address. As in git, a setting for a URL goes before
// one that is for less of it, and of equals the last one counts.
func (c *gitConfig) http(u *url.URL) (*httpSettings, error) {
	h := &httpSettings{}
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
	h.environment(c.getenv)
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
func (h *httpSettings) set(s gitSetting, c *gitConfig) error {
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
		h.userAgent = s.value
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
			h.unfollowed = append(h.unfollowed, "http.followRedirects=true")
		}
	}
	if i := slices.IndexFunc(unfollowedHTTP(), func(k string) bool { return strings.EqualFold(k, s.key) }); i >= 0 {
		h.unfollowed = append(h.unfollowed, "http."+unfollowedHTTP()[i])
	}
	return nil
}

// verify lets a server go unverified that the user has named for that.
func (h *httpSettings) verify(yes, scoped bool, key string) {
	if !yes && !scoped {
		h.unfollowed = append(h.unfollowed, key+" for all hosts (what is followed is http.https://HOST/.sslVerify)")
		return
	}
	h.unverified = !yes
}

// addHeader takes a header for the hosts that it is for. One that is for all would go to
// whoever a store or a stack names.
func (h *httpSettings) addHeader(s gitSetting) error {
	if s.value == "" {
		h.headers = nil
		return nil
	}
	if s.sub == "" {
		h.unfollowed = append(h.unfollowed, "http.extraHeader for all hosts (what is followed is http.https://HOST/.extraHeader)")
		return nil
	}
	name, value, ok := strings.Cut(s.value, ":")
	value = strings.TrimSpace(value)
	if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
		return fmt.Errorf("http.%s.extraHeader of git's configuration is no header", plain.Short(s.sub))
	}
	h.headers = append(h.headers, httpHeader{name, value})
	return nil
}

// setProxy takes a proxy as curl does: HTTP where nothing else is said, none for "".
func (h *httpSettings) setProxy(value string) error {
	h.hasProxy, h.proxy = true, nil
	if value == "" {
		return nil
	}
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" {
		return errors.New("http.proxy of git's configuration is no address") // which may have a password in it
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
func (h *httpSettings) environment(getenv func(string) string) {
	for name, to := range map[string]*string{
		"GIT_SSL_CAINFO": &h.caInfo, "GIT_SSL_CAPATH": &h.caPath, "GIT_SSL_CERT": &h.cert, "GIT_SSL_KEY": &h.key, "GIT_HTTP_USER_AGENT": &h.userAgent,
	} {
		if v := getenv(name); v != "" {
			*to = v
		}
	}
	if getenv("GIT_SSL_NO_VERIFY") != "" {
		h.verify(false, false, "GIT_SSL_NO_VERIFY")
	}
}

// transport returns a transport that does what is said; to a stranger no certificate is
// shown.
func (h *httpSettings) transport(opts Options, stranger bool) (*http.Transport, error) {
	t := newTransport(opts)
	if h.hasProxy {
		t.Proxy = h.byProxy(opts.Getenv)
	}
	if h.caInfo != "" || h.caPath != "" {
		pool, err := h.authorities(opts.RootCAs)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig.RootCAs = pool
	}
	t.TLSClientConfig.InsecureSkipVerify = h.unverified //nolint:gosec // the user has said so of this host
	if h.cert == "" || stranger {
		return t, nil
	}
	key := h.key
	if key == "" {
		key = h.cert
	}
	cert, err := tls.LoadX509KeyPair(h.cert, key)
	if err != nil {
		return nil, fmt.Errorf("http.sslCert of git's configuration: %w", err)
	}
	t.TLSClientConfig.Certificates = []tls.Certificate{cert}
	return t, nil
}

// byProxy goes by the proxy, but to the hosts in NO_PROXY.
func (h *httpSettings) byProxy(getenv func(string) string) func(*http.Request) (*url.URL, error) {
	no := getenv("NO_PROXY")
	if no == "" {
		no = getenv("no_proxy")
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
func (h *httpSettings) authorities(base *x509.CertPool) (*x509.CertPool, error) {
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
