// Package openfaas imitates OpenFaaS's gateway for tests. It begins with [Start].
package openfaas

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
)

// Options say how a gateway behaves. The zero value wants no credentials and runs all functions.
type Options struct {
	// User and Password, when set, are asked for by basic authentication.
	User, Password string
	// Orchestration is what /system/info says; "" is kubernetes.
	Orchestration string
	// Never are functions that no container becomes ready of.
	Never []string
	// Refuse are functions that it does not take, with what it says.
	Refuse map[string]string
}

// A Gateway is an imitation of OpenFaaS's gateway: what /system/info, /system/functions and /system/function do is
// as in its published API, api-docs/spec.openapi.yml of github.com/openfaas/faas, version 0.8.12. It runs nothing.
// The gateway itself is in no package registry.
type Gateway struct {
	URL string

	opts   Options
	server *httptest.Server

	mu        sync.Mutex
	functions map[string]map[string]any // FunctionDeployment, by namespace and name
	asked     map[string]int            // how often since it was deployed
}

// Start starts a gateway.
func Start(opts Options) *Gateway {
	if opts.Orchestration == "" {
		opts.Orchestration = "kubernetes"
	}
	g := &Gateway{opts: opts, functions: map[string]map[string]any{}, asked: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /system/info", g.info)
	mux.HandleFunc("GET /system/functions", g.list)
	mux.HandleFunc("PUT /system/functions", g.put)
	mux.HandleFunc("POST /system/functions", g.put)
	mux.HandleFunc("DELETE /system/functions", g.remove)
	mux.HandleFunc("GET /system/function/{name}", g.status)
	g.server = httptest.NewServer(g.guard(mux))
	g.URL = g.server.URL
	return g
}

// Close ends it.
func (g *Gateway) Close() { g.server.Close() }

// guard asks for credentials.
func (g *Gateway) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		good := subtle.ConstantTimeCompare([]byte(user+":"+password), []byte(g.opts.User+":"+g.opts.Password)) == 1
		if g.opts.User != "" && !good && r.URL.Path != "/healthz" {
			w.Header().Set("WWW-Authenticate", `Basic realm="Restricted"`)
			http.Error(w, "invalid credentials", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (g *Gateway) info(w http.ResponseWriter, _ *http.Request) {
	version := map[string]string{"sha": "0", "release": "0.0.0-imitation"}
	answer(w, map[string]any{
		"provider": map[string]any{"provider": "imitation", "orchestration": g.opts.Orchestration, "version": version},
		"version":  version, "arch": "x86_64",
	})
}

// namespaceOf is the default namespace in the place of none.
func namespaceOf(name string) string {
	if name == "" {
		return "openfaas-fn"
	}
	return name
}

func (g *Gateway) put(w http.ResponseWriter, r *http.Request) {
	var d map[string]any
	if err := json.NewDecoder(r.Body).Decode(&d); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name, _ := d["service"].(string)
	image, _ := d["image"].(string)
	namespace, _ := d["namespace"].(string)
	if name == "" || image == "" {
		http.Error(w, "service and image are required", http.StatusBadRequest)
		return
	}
	if said := g.opts.Refuse[name]; said != "" {
		http.Error(w, said, http.StatusInternalServerError)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	key := namespaceOf(namespace) + "/" + name
	if _, there := g.functions[key]; !there && r.Method == http.MethodPut {
		http.Error(w, "function "+name+" not found", http.StatusNotFound)
		return
	}
	d["namespace"] = namespaceOf(namespace)
	g.functions[key], g.asked[key] = d, 0
	if r.Method == http.MethodPost {
		w.WriteHeader(http.StatusAccepted)
	}
}

func (g *Gateway) remove(w http.ResponseWriter, r *http.Request) {
	var d struct{ FunctionName, Namespace string }
	if err := json.NewDecoder(r.Body).Decode(&d); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	key := namespaceOf(d.Namespace) + "/" + d.FunctionName
	if g.functions[key] == nil {
		http.Error(w, "function "+d.FunctionName+" not found", http.StatusNotFound)
		return
	}
	delete(g.functions, key)
}

func (g *Gateway) list(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	prefix := namespaceOf(r.URL.Query().Get("namespace")) + "/"
	all := []any{}
	for key := range g.functions {
		if strings.HasPrefix(key, prefix) {
			all = append(all, g.describe(key))
		}
	}
	answer(w, all)
}

func (g *Gateway) status(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := namespaceOf(r.URL.Query().Get("namespace")) + "/" + r.PathValue("name")
	if g.functions[key] == nil {
		http.Error(w, "function "+r.PathValue("name")+" not found", http.StatusNotFound)
		return
	}
	answer(w, g.describe(key))
}

// describe is FunctionStatus. A function is available the second time that somebody asks.
func (g *Gateway) describe(key string) map[string]any {
	out := map[string]any{"replicas": 1, "availableReplicas": 0, "invocationCount": 0, "createdAt": "2026-01-01T00:00:00Z"}
	for k, v := range g.functions[key] {
		out[k] = v
	}
	name, _ := out["service"].(string)
	delete(out, "service")
	out["name"] = name
	// Providers add some of their own.
	labels, annotations := map[string]any{"faas_function": name}, map[string]any{"prometheus.io.scrape": "false"}
	for to, from := range map[string]map[string]any{"labels": labels, "annotations": annotations} {
		given, _ := g.functions[key][to].(map[string]any)
		for k, v := range given {
			from[k] = v
		}
		out[to] = from
	}
	if g.asked[key]++; g.asked[key] > 1 && !slices.Contains(g.opts.Never, name) {
		out["availableReplicas"] = 1
	}
	return out
}

// answer writes JSON.
func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // who went away misses it
}
