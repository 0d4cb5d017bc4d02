package rollout

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"fnb/internal/plain"
	"fnb/origin"
	"fnb/schema/deploy"
	"fnb/schema/words"
)

// GatewayOptions say which gateway of OpenFaaS's is meant, and how it is spoken to.
type GatewayOptions struct {
	URL       string // such as http://127.0.0.1:8080
	Namespace string // "" is the gateway's own default
	Login     Login
	Plaintext bool // speak clear text to another machine
	UserAgent string
}

// A Gateway is OpenFaaS's, spoken to by its REST interface. It is a [Target].
type Gateway struct {
	opts   GatewayOptions
	base   *url.URL
	client *http.Client
	about  func(context.Context) (info, error)
}

// NewGateway checks the options. A gateway of another machine without TLS is an [Error] of the kind Plaintext,
// unless that is allowed: variables and credentials would go there in clear text.
func NewGateway(opts GatewayOptions) (*Gateway, error) {
	u, err := origin.Check(opts.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the gateway %q: %w", opts.URL, err)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the gateway %q: it must begin with http:// or https://", opts.URL)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the gateway's URL must have a host and a path, and nothing else")
	case u.Scheme == "http" && !opts.Plaintext && !loopback(u.Hostname()):
		return nil, &Error{Kind: Plaintext, Subject: opts.URL, Text: opts.URL + " is another machine without TLS: environments and credentials would go there in clear text"}
	}
	u.Path = strings.TrimRight(u.Path, "/")
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 10 * time.Second,
		// How long an answer may take is the caller's: some gateways pull the image before they answer.
	}
	g := &Gateway{opts: opts, base: u}
	g.client = &http.Client{
		Transport: origin.NewGuard(transport, net.Dialer{Timeout: 20 * time.Second}),
		// Nobody is followed: what is told there is for this gateway alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var once sync.Mutex
	var known *info
	g.about = func(ctx context.Context) (info, error) {
		once.Lock()
		defer once.Unlock()
		if known == nil {
			got, err := g.info(ctx)
			if err != nil {
				return info{}, err
			}
			known = &got
		}
		return *known, nil
	}
	return g, nil
}

// loopback reports whether a host is this machine by its name alone.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// info is what a gateway says of what is behind it: GatewayInfo of its API.
type info struct {
	Provider *struct {
		Orchestration string `json:"orchestration"`
	} `json:"provider"`
}

// kubelet reports whether functions become containers of a kubelet's.
func (i info) kubelet() bool {
	return i.Provider == nil || !strings.Contains(i.Provider.Orchestration, "containerd")
}

func (g *Gateway) info(ctx context.Context) (info, error) {
	var got info
	status, err := g.ask(ctx, http.MethodGet, "/system/info", nil, &got)
	if err != nil {
		return got, err
	}
	if status != http.StatusOK || got.Provider == nil {
		return got, g.stranger(fmt.Sprintf("it answers /system/info with status %d and no provider", status))
	}
	return got, nil
}

// stranger is the error of a server that is no gateway.
func (g *Gateway) stranger(why string) error {
	return &Error{Kind: NotGateway, Subject: g.base.String(), Text: fmt.Sprintf("%s is not a gateway of OpenFaaS: %s", g.base, why)}
}

// running is what a gateway says of a function: FunctionStatus of its API.
type running struct {
	deploy.Deployment
	Replicas  float64 `json:"replicas"`
	Available float64 `json:"availableReplicas"`
}

func (g *Gateway) find(ctx context.Context, name string) (*running, error) {
	path := "/system/function/" + url.PathEscape(name)
	if g.opts.Namespace != "" {
		path += "?namespace=" + url.QueryEscape(g.opts.Namespace)
	}
	if _, err := g.about(ctx); err != nil {
		return nil, err
	}
	var got running
	status, err := g.ask(ctx, http.MethodGet, path, nil, &got)
	if err != nil || status == http.StatusNotFound {
		return nil, err
	}
	return &got, nil
}

// Find implements [Target].
func (g *Gateway) Find(ctx context.Context, name string) (State, error) {
	r, err := g.find(ctx, name)
	if err != nil || r == nil {
		return State{}, err
	}
	return State{There: true, Image: r.Image, Previous: r.Annotations[words.AnnotationPrevious]}, nil
}

// request is what the gateway is told of a function.
func (g *Gateway) request(ctx context.Context, f deploy.Function) (deploy.Deployment, []string, error) {
	about, err := g.about(ctx)
	if err != nil {
		return deploy.Deployment{}, nil, err
	}
	return deploy.ForGateway(f, about.kubelet())
}

// Apply implements [Target]. As with faas-cli a function that is there is updated, and one that is not is made.
func (g *Gateway) Apply(ctx context.Context, f deploy.Function) ([]string, error) {
	d, notes, err := g.request(ctx, f)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	status, err := g.ask(ctx, http.MethodPut, "/system/functions", body, nil)
	if err == nil && status == http.StatusNotFound {
		status, err = g.ask(ctx, http.MethodPost, "/system/functions", body, nil)
	}
	if err == nil && status == http.StatusNotFound {
		err = g.stranger("it has no /system/functions")
	}
	return notes, err
}

// Wait implements [Target]. The gateway does not tell the containers of a function from those that it had
// before: what it says of them counts once it names the new image.
func (g *Gateway) Wait(ctx context.Context, f deploy.Function, timeout time.Duration) (string, error) {
	err := await(ctx, f.Name, timeout, func(ctx context.Context) (stage, error) {
		r, err := g.find(ctx, f.Name)
		switch {
		case err != nil:
			return stage{}, err
		case r == nil:
			return stage{why: &Error{Kind: Unready, Text: "the gateway does not have it"}}, nil
		case digest(r.Image) != digest(f.Image):
			return stage{why: &Error{Kind: Unready, Text: "the gateway has another image: " + plain.Line(r.Image)}}, nil
		}
		idle := r.Replicas == 0 && f.Labels["com.openfaas.scale.zero"] == "true"
		return stage{ready: r.Available >= 1 || idle, why: &Error{Kind: Unready, Text: fmt.Sprintf("%v of %v replicas are available", r.Available, r.Replicas)}}, nil
	})
	at := g.base.String() + "/function/" + f.Name
	if g.opts.Namespace != "" {
		at += "." + g.opts.Namespace
	}
	return at, err
}

const (
	mostAnswer = 8 << 20
	mostTold   = 300
)

// ask sends a request, and reads an answer that has JSON. A status that says no is an [*Error], but for 404.
func (g *Gateway) ask(ctx context.Context, method, path string, body []byte, answer any) (int, error) {
	r, err := http.NewRequestWithContext(ctx, method, g.base.String()+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("User-Agent", g.opts.UserAgent)
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	g.opts.Login.set(r)
	asked := time.Now()
	res, err := g.client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return 0, unanswered(ctx, g.base.String(), asked)
		}
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return 0, &Error{Kind: Unreachable, Subject: g.base.String(), Text: fmt.Sprintf("no gateway answers at %s: %s", g.base, plain.Line(err.Error()))}
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer))
	switch {
	case err != nil && ctx.Err() != nil:
		return 0, unanswered(ctx, g.base.String(), asked)
	case err != nil:
		return 0, &Error{Kind: Unreachable, Subject: g.base.String(), Text: fmt.Sprintf("the answer of %s: %s", g.base, plain.Line(err.Error()))}
	}
	if err := g.refusal(res, raw); err != nil {
		return res.StatusCode, err
	}
	if answer == nil || res.StatusCode == http.StatusNotFound {
		return res.StatusCode, nil
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return res.StatusCode, g.stranger("its answer is not JSON")
	}
	return res.StatusCode, nil
}

// refusal is the error of an answer that says no; nil if it does not.
func (g *Gateway) refusal(res *http.Response, raw []byte) error {
	at, told := g.base.String(), ""
	if text := strings.TrimSpace(string(raw)); text != "" && !strings.HasPrefix(text, "<") {
		told = plain.Line(text[:min(len(text), mostTold)])
	}
	fail := func(kind Kind, subject, text string) error {
		if told != "" {
			text += ": " + told
		}
		return &Error{Kind: kind, Subject: subject, Text: text}
	}
	switch code := res.StatusCode; {
	case code < 300 || code == http.StatusNotFound:
		return nil
	case code < 400:
		to := res.Header.Get("Location")
		return &Error{Kind: NotGateway, Subject: at, Text: fmt.Sprintf("%s leads elsewhere, to %q, where fnb sends nothing", at, plain.Line(to))}
	case code == http.StatusUnauthorized && g.opts.Login.empty():
		return &Error{Kind: Credentials, Subject: at, Text: at + " wants credentials"}
	case code == http.StatusUnauthorized:
		return &Error{Kind: Credentials, Subject: at, Text: at + " refuses the credentials of " + g.opts.Login.From}
	case code == http.StatusForbidden:
		return fail(Forbidden, "", at+" refuses it")
	case code == http.StatusBadGateway || code == http.StatusServiceUnavailable || code == http.StatusGatewayTimeout:
		return fail(Unavailable, at, fmt.Sprintf("%s answers %s: what deploys functions behind it does not answer", at, res.Status))
	default:
		kind, subject := Cause(told)
		return fail(kind, subject, fmt.Sprintf("%s answers %s", at, res.Status))
	}
}
