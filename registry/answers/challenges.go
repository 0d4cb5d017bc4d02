package answers

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// A challenge is one way of authentication that a registry offers (RFC 9110, 11.6.1).
type challenge struct {
	scheme string // lower case
	params map[string]string
}

// plainChallenges writes what a registry offers as clients read it: one challenge a
// header, quoted, those that give out tokens first, as containerd does. One who offers
// nothing is taken to ask for a password.
// go-containerregistry takes no token from a private address other than the registry's
// own. Where the transport below says whether one may be led there, such a realm gets
// the registry's name, and toRealm takes that off again.
func (t *Transport) plainChallenges(r *http.Request, resp *http.Response) {
	said := resp.Header.Values("Www-Authenticate")
	offered := parseChallenges(strings.Join(said, ", "))
	if len(said) == 0 {
		offered = []challenge{{"basic", map[string]string{"realm": r.URL.Host}}}
	}
	offered = slices.DeleteFunc(offered, func(c challenge) bool {
		return c.scheme == "bearer" && c.params["realm"] == "" || c.scheme != "bearer" && c.scheme != "basic"
	})
	if len(offered) == 0 {
		return
	}
	slices.SortStableFunc(offered, func(a, b challenge) int { return -strings.Compare(a.scheme, b.scheme) })
	resp.Header.Del("Www-Authenticate")
	for _, c := range offered {
		if realm, err := r.URL.Parse(c.params["realm"]); err == nil && c.scheme == "bearer" {
			c.params["realm"] = t.named(r.URL, realm)
		}
		resp.Header.Add("Www-Authenticate", c.String())
	}
}

// named returns the address of a realm under the registry's name.
func (t *Transport) named(registry, realm *url.URL) string {
	if _, err := netip.ParseAddr(realm.Hostname()); !t.Guarded || err != nil || realm.Host == registry.Host || realm.Scheme == "http" && registry.Scheme == "https" {
		return realm.String()
	}
	alias := *realm
	alias.Scheme, alias.Host, alias.Path, alias.RawPath = registry.Scheme, registry.Host, "/.realm"+realm.Path, ""
	t.realms.Store(alias.Host+alias.Path, realm)
	return alias.String()
}

// toRealm is a request for a token to where that is given out.
func (t *Transport) toRealm(r *http.Request) *http.Request {
	known, _ := t.realms.Load(r.URL.Host + r.URL.Path)
	realm, ok := known.(*url.URL)
	if !ok {
		return r
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.URL.Path, r.URL.RawPath, r.Host = realm.Scheme, realm.Host, realm.Path, realm.RawPath, ""
	return r
}

// String is c as a header's value.
func (c challenge) String() string {
	var params []string
	for k, v := range c.params {
		params = append(params, k+`="`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v)+`"`)
	}
	slices.Sort(params)
	return c.scheme + " " + strings.Join(params, ",")
}

// parseChallenges reads the values of Www-Authenticate headers, joined with commas.
// What it cannot read it leaves out.
func parseChallenges(s string) []challenge {
	var out []challenge
	for s != "" {
		s = strings.TrimLeft(s, ", \t")
		word, rest := token(s)
		if word == "" {
			_, s, _ = strings.Cut(s, ",")
			continue
		}
		rest = strings.TrimLeft(rest, " \t")
		if value, isParam := strings.CutPrefix(rest, "="); isParam && len(out) > 0 {
			var text string
			text, s = paramValue(strings.TrimLeft(value, " \t"))
			out[len(out)-1].params[strings.ToLower(word)] = text
			continue
		}
		out = append(out, challenge{scheme: strings.ToLower(word), params: map[string]string{}})
		s = rest
	}
	return out
}

// token returns the word that s begins with, and what follows.
func token(s string) (word, rest string) {
	i := strings.IndexAny(s, " \t,=\"")
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i:]
}

// paramValue returns the value that s begins with, quoted or not, and what follows.
func paramValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		i := strings.IndexByte(s, ',')
		if i < 0 {
			i = len(s)
		}
		return strings.TrimSpace(s[:i]), s[i:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}
