package git

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"fnb/internal/lazyregexp"
	"fnb/internal/plain"
	"fnb/origin"
)

const infoRefs = "/info/refs"

// An httpWire speaks git's protocol over HTTP, as gitprotocol-http(5) has it. Of git's
// redirects it follows those of the first request, which say where the repository is.
type httpWire struct {
	client *http.Client
	base   string // the repository
}

func newHTTPWire(base string, guard *guard) *httpWire {
	return &httpWire{base: strings.TrimRight(base, "/"), client: &http.Client{Transport: guard, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if via[0].Method != http.MethodGet {
			return errors.New("it redirects what is sent to it")
		}
		return checkRedirect(req, via)
	}}}
}

// hello implements [wire].
func (w *httpWire) hello(ctx context.Context, service string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base+infoRefs+"?service="+service, nil)
	if err != nil {
		return nil, err
	}
	resp, err := w.do(req, "application/x-"+service+"-advertisement")
	if err != nil {
		return nil, err
	}
	here := *resp.Request.URL
	path, ok := strings.CutSuffix(here.EscapedPath(), infoRefs)
	if !ok {
		defer func() { _ = resp.Body.Close() }() // it is of no interest
		return nil, noAnswer(resp)
	}
	here.RawQuery, here.Fragment, here.User = "", "", nil
	w.base = here.Scheme + "://" + here.Host + path
	return resp.Body, nil
}

// ask implements [wire].
func (w *httpWire) ask(ctx context.Context, service string, question io.Reader, size int) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.base+"/"+service, question)
	if err != nil {
		return nil, err
	}
	req.ContentLength = int64(size) // there are servers that take no chunks
	req.Header.Set("Content-Type", "application/x-"+service+"-request")
	resp, err := w.do(req, "application/x-"+service+"-result")
	if answer, ok := errors.AsType[*answerError](err); ok {
		answer.later = true
	}
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// do asks, and takes an answer of a kind. Some servers give a kind of their own; what
// begins as git's answers do is one.
func (w *httpWire) do(req *http.Request, kind string) (*http.Response, error) {
	req.Header.Set("User-Agent", capability.DefaultAgent())
	req.Header.Set("Accept", kind+", */*;q=0.1")
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		got, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		if got == kind {
			return resp, nil
		}
		begin := make([]byte, 5)
		n, err := io.ReadFull(resp.Body, begin)
		resp.Body = &teedBody{io.MultiReader(bytes.NewReader(begin[:n]), resp.Body), resp.Body}
		if err == nil && pktBegin.Match(begin) {
			return resp, nil
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			_ = resp.Body.Close() // it has failed
			return nil, err
		}
	}
	defer func() { _ = resp.Body.Close() }() // it is of no interest
	return nil, noAnswer(resp)
}

// pktBegin is how what git says begins: a length, and a comment, an answer or an error.
var pktBegin = lazyregexp.New(`^[0-9a-f]{4}[#NAEu\x01]$`)

// said implements [wire].
func (*httpWire) said() string { return "" }

func (w *httpWire) close() error { return nil }

// An answerError is an answer by HTTP that is none of git's.
type answerError struct {
	code  int
	at    string // the address that it came from, where that is another one than was asked
	plain bool   // it has the references as a plain file
	later bool   // git has answered before
	words string // of the server, made to be read
}

// noAnswer reads what a server says instead.
func noAnswer(resp *http.Response) error {
	e := &answerError{code: resp.StatusCode}
	data, _ := io.ReadAll(io.LimitReader(resp.Body, maxHeard)) // as much as there is
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	e.words = wordsOf(kind, data)
	e.plain = resp.StatusCode == http.StatusOK && dumbLine.Match(data)
	if here := resp.Request.URL; resp.Request.Response != nil {
		e.at = plain.Short(origin.Of(here).Scheme + "://" + here.Host + here.EscapedPath())
	}
	return e
}

func (e *answerError) Error() string {
	var b strings.Builder
	if e.at != "" {
		fmt.Fprintf(&b, "it leads to %s, and ", e.at)
	}
	switch {
	case e.plain:
		b.WriteString("its files are there, but no server speaks git's protocol there (fnb needs one, such as git http-backend)")
		return b.String()
	case e.later && e.code == http.StatusOK:
		b.WriteString("what it sends is not git's protocol")
	case e.code == http.StatusOK || e.code == http.StatusNonAuthoritativeInfo:
		b.WriteString("no git server answers there")
	default:
		fmt.Fprintf(&b, "the server answered %d %s", e.code, http.StatusText(e.code))
	}
	if said := e.ownWords(); said != "" {
		b.WriteString(": " + said)
	}
	return b.String()
}

// ownWords are the words of the server, "" where they say no more than the code.
func (e *answerError) ownWords() string {
	rest := strings.TrimSpace(strings.TrimPrefix(e.words, strconv.Itoa(e.code)))
	if strings.EqualFold(rest, http.StatusText(e.code)) || strings.EqualFold(rest, "authentication required") {
		return ""
	}
	return e.words
}

// wantsSomebody reports whether the answer may be another one to somebody it knows:
// many servers say of private repositories that they do not exist, or lead to where
// people sign in.
func (e *answerError) wantsSomebody() bool {
	switch e.code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusNonAuthoritativeInfo:
		return true
	}
	return e.signIn()
}

// signIn reports whether the answer is a page for people to sign in.
func (e *answerError) signIn() bool {
	return e.code == http.StatusNonAuthoritativeInfo || e.code == http.StatusOK && signInWords.MatchString(e.at+" "+e.words)
}

var (
	dumbLine    = lazyregexp.New(`^[0-9a-f]{40}\trefs/`)
	signInWords = lazyregexp.New(`(?i)\b(sign[ _-]?in|log[ _-]?in)\b`)
	titleText   = lazyregexp.New(`(?is)<title[^>]*>(.*?)</title>`)
	messageText = lazyregexp.New(`(?is)<message[^>]*>(.*?)</message>`)
	unseenText  = lazyregexp.New(`(?is)<(script|style)[^>]*>.*?</(script|style)>|<!--.*?-->|<[^>]*>?`)
)

// wordsOf are a server's own words in a body: a page's title, the message in JSON or XML,
// or the beginning of a text.
func wordsOf(kind string, data []byte) string {
	text := string(data)
	var said struct{ Message, Error, Errors any }
	switch {
	case strings.HasSuffix(kind, "json") && json.Unmarshal(data, &said) == nil:
		for _, s := range []any{said.Message, said.Error, said.Errors} {
			if s, ok := s.(string); ok && s != "" {
				return plain.Short(s)
			}
		}
	case strings.HasSuffix(kind, "xml"), strings.HasSuffix(kind, "html"):
		for _, find := range []*lazyregexp.Regexp{messageText, titleText} {
			if m := find.FindStringSubmatch(text); m != nil && strings.TrimSpace(m[1]) != "" {
				return plain.Short(html.UnescapeString(m[1]))
			}
		}
		text = html.UnescapeString(unseenText.ReplaceAllString(text, " "))
	case kind != "" && !strings.HasPrefix(kind, "text/") && !strings.HasSuffix(kind, "json"):
		return ""
	}
	for line := range strings.Lines(text) {
		if line = plain.Short(line); line != "" {
			return line
		}
	}
	return ""
}
