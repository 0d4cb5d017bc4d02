package gateway

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"fnb/internal/plain"
)

// Foreign says why a request at a port of this machine, of the gateway or of a function, is not
// the developer's, or "". A web page may have a browser send requests here. By a name of its own
// that leads to this machine it could even read the answers: so a name must be this machine's.
// From a page of this machine, at any port, everything is taken; from others a link is followed
// that opens a page of its own.
func Foreign(r *http.Request) string {
	if r.Host != "" && !here(r.Host) {
		return "a request for the host " + plain.Short(r.Host) + " is refused: address it to 127.0.0.1 or localhost, so that no web page can be behind it"
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || !own(u.Host) {
			return "a request of a web page of " + plain.Short(origin) + " is refused: only pages of this machine may call functions"
		}
		return ""
	}
	link := r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" &&
		(r.Method == http.MethodGet || r.Method == http.MethodHead)
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" && !link {
		return "a request of a web page of another site is refused: only pages of this machine may call functions"
	}
	return ""
}

// here says whether a host, with or without a port, is this machine. An address is: no
// web page can make it lead elsewhere than it says.
func here(hostport string) bool {
	host := hostOf(hostport)
	return net.ParseIP(host) != nil || own(hostport) || slices.Contains(Names(), host)
}

// own says whether a page of a host, with or without a port, is of this machine.
func own(hostport string) bool {
	host := hostOf(hostport)
	return net.ParseIP(host).IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func hostOf(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// hopByHop are the headers that concern one connection only.
func hopByHop() []string {
	return []string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Expect"}
}

// endToEnd are the headers that are meant for who is at the other end.
func endToEnd(h http.Header) http.Header {
	out := h.Clone()
	for _, v := range h["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			out.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHop() {
		out.Del(name)
	}
	return out
}
