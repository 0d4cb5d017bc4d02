package site

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"fnb/internal/plain"
	"fnb/schema"
)

// maxBody is how much of a form is read.
const maxBody = 1 << 20

// refresh is how long the list is shown as it was read, at least.
const refresh = 5 * time.Second

// Options say how a [Handler] works.
type Options struct {
	About
	Source Source
	// Hosts are the names, with ports, under which the page may be asked for. One
	// that is only ":PORT" stands for each address of the machine, but for no name.
	Hosts []string
	// Key is what somebody has to know to read the page: other users of the machine
	// reach it as well. "" lets everybody read it. See [Handler.Enter].
	Key string
	// Try runs a function with a request; nil means that none can be tried.
	Try func(ctx context.Context, name string, request schema.Example) (Answer, error)
}

// A Handler serves the page of a store. It answers nobody who asks under another
// name, so that no foreign page can reach it by pointing its own name here; nobody
// who does not have its key; and it changes nothing unless it is asked to with a
// token that only its own pages have.
type Handler struct {
	opts   Options
	shell  *shell
	token  string
	mux    *http.ServeMux
	origin *http.CrossOriginProtection

	trying sync.Mutex // one function at a time

	first   sync.Mutex // held while the list is read for the first time
	mu      sync.Mutex
	list    *catalogue
	until   time.Time // when it is too old
	reading bool
}

// New returns a handler.
func New(opts Options) (*Handler, error) {
	s, err := newShell(shell{store: storeName(opts.About), intro: plain.Visible(opts.Intro), about: "Served by fnb store browse on this machine."})
	if err != nil {
		return nil, err
	}
	h := &Handler{opts: opts, shell: s, token: rand.Text(), mux: http.NewServeMux(), origin: http.NewCrossOriginProtection()}
	h.mux.HandleFunc("GET /{$}", h.index)
	h.mux.HandleFunc("GET /index.html", h.index)
	h.mux.HandleFunc("GET /page/{file}", h.page)
	h.mux.HandleFunc("GET /search/{file}", h.search)
	h.mux.HandleFunc("GET /assets/{file}", h.asset)
	h.mux.HandleFunc("GET /t/{ns}/{file}", h.detail)
	h.mux.HandleFunc("GET /f/{ns}/{file}", h.detail)
	if opts.Try != nil {
		h.mux.HandleFunc("POST /try", h.try)
	}
	h.mux.HandleFunc("GET /", h.missing)
	return h, nil
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Security-Policy", policy+"; frame-ancestors 'none'")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "same-origin") // without any, a form's Origin would be null
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("Cache-Control", "no-store")
	if !h.mayAsk(r.Host) {
		http.Error(w, "this page has another address", http.StatusMisdirectedRequest)
		return
	}
	if o := r.Header.Get("Origin"); o != "" && o != "http://"+r.Host {
		http.Error(w, "a page of another origin may not ask this", http.StatusForbidden)
		return
	}
	if err := h.origin.Check(r); err != nil {
		http.Error(w, "a page of another origin may not ask this", http.StatusForbidden)
		return
	}
	if h.admit(w, r) {
		h.mux.ServeHTTP(w, r)
	}
}

// mayAsk reports whether the page may be asked for under a name.
func (h *Handler) mayAsk(host string) bool {
	for _, allowed := range h.opts.Hosts {
		if strings.EqualFold(host, allowed) {
			return true
		}
		if !strings.HasPrefix(allowed, ":") {
			continue
		}
		name, port, err := net.SplitHostPort(host)
		if err == nil && ":"+port == allowed && net.ParseIP(name) != nil {
			return true
		}
	}
	return false
}

// catalogue returns the list. One that is too old is read anew for those who ask
// next: nobody waits for it but the first.
func (h *Handler) catalogue(ctx context.Context) (*catalogue, error) {
	if list := h.latest(ctx); list != nil {
		return list, nil
	}
	h.first.Lock()
	defer h.first.Unlock()
	if list := h.latest(ctx); list != nil {
		return list, nil
	}
	return h.read(ctx)
}

// latest is the list as it was read last, nil for none.
func (h *Handler) latest(ctx context.Context) *catalogue {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.list != nil && !h.reading && time.Now().After(h.until) {
		h.reading = true
		ctx := context.WithoutCancel(ctx)  // whoever asked does not wait for it
		go func() { _, _ = h.read(ctx) }() // what fails now is tried again
	}
	return h.list
}

// read reads the list. It takes at most a small part of the time for that.
func (h *Handler) read(ctx context.Context) (*catalogue, error) {
	began := time.Now()
	items, err := h.opts.Source.Items(ctx)
	var list *catalogue
	if err == nil {
		list = newCatalogue(items)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reading = false
	h.until = time.Now().Add(max(refresh, 20*time.Since(began)))
	if err != nil {
		return nil, err
	}
	h.list = list
	return list, nil
}

// answer writes what was rendered.
func (h *Handler) answer(w http.ResponseWriter, status int, data []byte, err error) {
	if err != nil {
		http.Error(w, plain.Visible(err.Error()), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(data) // whoever asked may have gone
}

func (h *Handler) index(w http.ResponseWriter, r *http.Request) {
	number, _ := strconv.Atoi(r.URL.Query().Get("page")) // "" and what is none is the first
	h.listPage(w, r, max(1, number), "")
}

func (h *Handler) page(w http.ResponseWriter, r *http.Request) {
	file := r.PathValue("file")
	digits, ok := strings.CutSuffix(file, ".html")
	number, err := strconv.Atoi(digits)
	if !ok || err != nil || number < 1 {
		h.missing(w, r)
		return
	}
	h.listPage(w, r, number, "../")
}

func (h *Handler) listPage(w http.ResponseWriter, r *http.Request, number int, root string) {
	c, err := h.catalogue(r.Context())
	if err != nil {
		h.answer(w, 0, nil, err)
		return
	}
	q := parseQuery(r.URL.Query())
	found := len(c.items)
	if !q.Empty() {
		found = len(c.find(q))
	}
	if number > pagesOf(found) {
		h.missing(w, r)
		return
	}
	data, err := h.shell.list(c, q, number, root, func(n int) string {
		v := q.values()
		if len(v) == 0 {
			return root + pagePath(n)
		}
		v.Set("page", strconv.Itoa(n))
		return root + "index.html?" + v.Encode()
	})
	h.answer(w, http.StatusOK, data, err)
}

func (h *Handler) detail(w http.ResponseWriter, r *http.Request) {
	kind, name, ok := parsePath(r.URL.Path)
	if !ok {
		h.missing(w, r)
		return
	}
	h.showDetail(w, r, kind, name, detailPage{})
}

func (h *Handler) showDetail(w http.ResponseWriter, r *http.Request, kind, name string, try detailPage) {
	c, err := h.catalogue(r.Context())
	if err != nil {
		h.answer(w, 0, nil, err)
		return
	}
	if !c.has(kind, name) {
		h.missing(w, r)
		return
	}
	d, err := h.opts.Source.Detail(r.Context(), kind, name)
	if errors.Is(err, fs.ErrNotExist) {
		h.missing(w, r)
		return
	}
	if err != nil {
		data, rerr := h.shell.gone(c, "/", "This cannot be shown", err.Error())
		h.answer(w, http.StatusBadGateway, data, rerr)
		return
	}
	if try.Try = h.opts.Try != nil; try.Try {
		try.Token = h.token
		if try.Answer == nil {
			try.Request = chosen(d.Examples, r.URL.Query().Get("example"))
		}
		try.Methods = schema.ExampleMethods()
	}
	root := "../../"
	if r.Method == http.MethodPost {
		root = "/"
	}
	data, err := h.shell.detail(r.Context(), c, d, root, try)
	h.answer(w, http.StatusOK, data, err)
}

// chosen is the example that the form begins with: the one with a number, or the first.
// One that a form would not show as it is begins none.
func chosen(all []Example, number string) schema.Example {
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n >= len(all) {
		n = 0
	}
	if len(all) == 0 {
		return schema.Example{}
	}
	e := all[n].Send
	if all := e.Body + e.Path + headerLines(e.Headers); plain.Visible(all) != all {
		return schema.Example{}
	}
	return e
}

// headerLines are headers as the form has them, one a line.
func headerLines(headers map[string]string) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		lines = append(lines, name+": "+headers[name])
	}
	return strings.Join(lines, "\n")
}

// parseHeaders reads what headerLines writes.
func parseHeaders(text string) (map[string]string, error) {
	var headers map[string]string
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("the header %q has no colon", line)
		}
		if headers == nil {
			headers = map[string]string{}
		}
		headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return headers, nil
}

// try runs a function for a form that one of this handler's own pages has sent.
func (h *Handler) try(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the request is too large, or not a form", http.StatusBadRequest)
		return
	}
	if subtle.ConstantTimeCompare([]byte(r.PostForm.Get("token")), []byte(h.token)) != 1 {
		http.Error(w, "the page is out of date: load it again", http.StatusForbidden)
		return
	}
	name := r.PostForm.Get("name")
	request := schema.Example{Method: r.PostForm.Get("method"), Path: r.PostForm.Get("path"), Body: strings.ReplaceAll(r.PostForm.Get("body"), "\r\n", "\n")}
	headers, err := parseHeaders(r.PostForm.Get("headers"))
	request.Headers = headers
	if err := errors.Join(err, schema.ValidateExample(request)); err != nil {
		h.showDetail(w, r, KindFunction, name, detailPage{Request: request, Answer: &Answer{Line: plain.Visible("It was not sent: " + err.Error())}})
		return
	}
	if c, err := h.catalogue(r.Context()); err != nil || !c.has(KindFunction, name) {
		h.missing(w, r)
		return
	}
	h.trying.Lock()
	defer h.trying.Unlock()
	answer, err := h.opts.Try(r.Context(), name, request)
	if err != nil {
		answer = Answer{Line: "It could not be run: " + err.Error()}
	}
	answer = Answer{Line: plain.Visible(answer.Line), Body: plain.Visible(answer.Body), Log: plain.Visible(answer.Log)}
	h.showDetail(w, r, KindFunction, name, detailPage{Request: request, Answer: &answer})
}

func (h *Handler) search(w http.ResponseWriter, r *http.Request) {
	c, err := h.catalogue(r.Context())
	if err != nil {
		h.answer(w, 0, nil, err)
		return
	}
	digits, ok := strings.CutSuffix(r.PathValue("file"), ".js")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 0 || n >= c.shards() {
		h.missing(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	_, _ = w.Write(c.shard(n)) // whoever asked may have gone
}

func (h *Handler) asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	data, err := files.ReadFile(path.Join("assets", path.Base(name)))
	if err != nil {
		h.missing(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, path.Base(name), time.Time{}, bytes.NewReader(data))
}

func (h *Handler) missing(w http.ResponseWriter, r *http.Request) {
	c, err := h.catalogue(r.Context())
	if err != nil {
		h.answer(w, 0, nil, err)
		return
	}
	data, err := h.shell.gone(c, "/", "There is no such page", "The address may be of an entry that is not here any more.")
	h.answer(w, http.StatusNotFound, data, err)
}

// HostsOf returns the names for a handler that listens at an address: on a
// loopback address those of this machine alone, else also those of the machine's
// addresses and the name that was given.
func HostsOf(given string, at net.Addr) []string {
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return nil
	}
	all := []string{"localhost:" + port, "127.0.0.1:" + port, "[::1]:" + port, net.JoinHostPort(host, port)}
	if name, _, err := net.SplitHostPort(given); err == nil && name != "" {
		all = append(all, net.JoinHostPort(name, port))
	}
	if ip := net.ParseIP(host); ip != nil && !ip.IsLoopback() {
		all = append(all, ":"+port)
	}
	if port == "80" {
		for _, h := range all {
			if u, err := url.Parse("http://" + h); err == nil && u.Hostname() != "" {
				all = append(all, u.Hostname())
			}
		}
	}
	return all
}
