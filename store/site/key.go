package site

import (
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// keyField is where an address and a cookie have the key.
const keyField = "key"

// Enter returns the address that opens the page at an address of the handler: it has
// the key, which the browser then keeps as a cookie until it is closed.
func (h *Handler) Enter(address string) string {
	if h.opts.Key == "" {
		return address
	}
	return address + "?" + url.Values{keyField: {h.opts.Key}}.Encode()
}

// cookieName tells handlers apart that run on one machine: all ports of a host get
// the same cookies.
func cookieName(host string) string {
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		port = "80"
	}
	return "fnb-" + keyField + "-" + port
}

// admit reports whether a request has the key. If it does not, it is answered; so is
// one that has it in its address, which then is the browser's to keep.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request) bool {
	if h.opts.Key == "" || strings.HasPrefix(r.URL.Path, "/assets/") { // they are the same everywhere
		return true
	}
	if r.Method == http.MethodGet && h.isKey(r.URL.Query().Get(keyField)) {
		h.enter(w, r)
		return false
	}
	for _, c := range r.CookiesNamed(cookieName(r.Host)) {
		if h.isKey(c.Value) {
			return true
		}
	}
	data, err := h.shell.execute("locked", h.door("This page has a key", ""))
	h.answer(w, http.StatusForbidden, data, err)
	return false
}

func (h *Handler) isKey(s string) bool {
	return subtle.ConstantTimeCompare([]byte(s), []byte(h.opts.Key)) == 1
}

// enter gives the browser the key as a cookie, and leads it to the page. A redirect
// would be followed in the name of whoever opened the address, a terminal or a file,
// and then without a cookie that no other site may use.
func (h *Handler) enter(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure is for HTTPS, which this is not
		Name: cookieName(r.Host), Value: h.opts.Key, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	w.Header().Set("Referrer-Policy", "no-referrer") // the address has the key
	data, err := h.shell.execute("enter", h.door("Opening the store", "/index.html"))
	h.answer(w, http.StatusOK, data, err)
}

// door is what a page shows to those who are not in.
func (h *Handler) door(heading, next string) page {
	return page{Title: heading + " – " + h.shell.store, Heading: heading, common: common{Store: h.shell.store, Stamp: h.shell.stamp}, Root: "/", Next: next, Closed: true}
}
