package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"fnb/internal/plain"
	"fnb/registry/answers"
)

// A pingTransport asks a registry once how it wants to be spoken to. Whoever is
// new to a repository begins with a "GET /v2/" (OCI distribution spec, "API
// version check"), whose answer is the same for all of them: in plain HTTP or
// not, and who gives out tokens. What is neither an answer nor plain HTTP, such
// as a registry that is not there, is not remembered, unless it took long to find out: then it is
// for as long again, so that a hundred functions do not wait a hundred times.
type pingTransport struct {
	inner http.RoundTripper
	pings sync.Map // *ping by URL
}

// longPing is how long somebody does not mind to wait again.
const longPing = 2 * time.Second

// A ping is what a registry answers.
type ping struct {
	done   chan struct{} // closed when what follows is there
	known  bool
	slow   bool // it failed, after a long time
	err    error
	answer http.Response
	body   []byte
}

// RoundTrip implements [http.RoundTripper].
func (t *pingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet || r.URL.Path != "/v2/" || r.Header.Get("Authorization") != "" {
		return t.inner.RoundTrip(r)
	}
	p := &ping{done: make(chan struct{})}
	if earlier, asked := t.pings.LoadOrStore(r.URL.String(), p); asked {
		p, _ = earlier.(*ping) // nothing else is in there
		select {
		case <-p.done:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		if !p.known && !p.slow {
			return t.ask(r)
		}
		return p.again(r)
	}
	defer close(p.done)
	began := time.Now()
	resp, err := t.ask(r)
	if p.known = p.learn(resp, err); p.known {
		return p.again(r)
	}
	if took := time.Since(began); err != nil && took > longPing && r.Context().Err() == nil {
		p.slow = true
		time.AfterFunc(took, func() { t.pings.Delete(r.URL.String()) })
	} else {
		t.pings.Delete(r.URL.String())
	}
	return resp, err
}

// ask asks a registry for its root. Some have none, since a proxy in front of them lets
// only repositories through: then the one that is asked about says how to go on.
func (t *pingTransport) ask(r *http.Request) (*http.Response, error) {
	resp, err := t.inner.RoundTrip(r)
	if err != nil || !rootless(resp) {
		return resp, err
	}
	none := &NoRegistryError{Host: plain.Short(r.URL.Host), Status: resp.StatusCode, Page: isPage(resp)}
	if _, err := answers.ReadShort(resp.Body); err != nil {
		return nil, err
	}
	to := list(r)
	if to == nil {
		return nil, none
	}
	r = r.Clone(r.Context())
	r.URL = to
	if resp, err = t.inner.RoundTrip(r); err != nil {
		return nil, err
	}
	raw, err := answers.ReadShort(resp.Body)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	if !isRegistry(resp, raw) {
		return nil, none
	}
	if resp.StatusCode != http.StatusUnauthorized {
		answers.Rename(resp, http.StatusOK)
	}
	return resp, nil
}

// rootless reports whether an answer at /v2/ is none of a registry.
func rootless(resp *http.Response) bool {
	none := resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed
	return none || resp.StatusCode == http.StatusOK && isPage(resp) && resp.Header.Get("Docker-Distribution-Api-Version") == ""
}

func isPage(resp *http.Response) bool {
	kind, _ := answers.MediaType(resp)
	return kind == "text/html"
}

// isRegistry reports whether an answer about a repository is a registry's, which asks
// for credentials, has a list or says in JSON what is wrong.
func isRegistry(resp *http.Response, raw []byte) bool {
	var said struct {
		Tags   json.RawMessage `json:"tags"`
		Errors json.RawMessage `json:"errors"`
	}
	ofRegistry := json.Unmarshal(raw, &said) == nil && (said.Tags != nil || said.Errors != nil)
	return ofRegistry || resp.StatusCode == http.StatusUnauthorized || resp.Header.Get("Docker-Distribution-Api-Version") != ""
}

// learn notes an answer, and reports whether it is one that lasts.
func (p *ping) learn(resp *http.Response, err error) bool {
	if err != nil {
		p.err = err
		plain, ok := errors.AsType[tls.RecordHeaderError](err)
		return ok && string(plain.RecordHeader[:]) == "HTTP/"
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusUnauthorized {
		return false
	}
	p.answer = *resp
	p.body, p.err = answers.ReadShort(resp.Body)
	return p.err == nil
}

// again is the answer to one more request.
func (p *ping) again(r *http.Request) (*http.Response, error) {
	if p.err != nil {
		return nil, p.err
	}
	resp := p.answer
	resp.Header, resp.Request = p.answer.Header.Clone(), r
	resp.Body = io.NopCloser(bytes.NewReader(p.body))
	return &resp, nil
}

type repositoryKey struct{}

// asking notes which repository is asked about, for [pingTransport].
func asking(ctx context.Context, r reference) context.Context {
	return context.WithValue(ctx, repositoryKey{}, r.repo.RepositoryStr())
}

// list is the address of a short list of the tags of the repository that is asked
// about; nil where none is.
func list(r *http.Request) *url.URL {
	repository, ok := r.Context().Value(repositoryKey{}).(string)
	if !ok {
		return nil
	}
	return r.URL.JoinPath(repository, "tags", "list")
}
