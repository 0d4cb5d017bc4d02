package gateway

import (
	"cmp"
	"encoding/json"
	"net/http"
	"runtime"
	"strings"
	"time"

	"fnb/internal/plain"
)

// A status is a function as OpenFaaS's /system/functions shows it. Its environment is not
// part of it: there may be secrets in it.
type status struct {
	Name                   string            `json:"name"`
	Image                  string            `json:"image"`
	Namespace              string            `json:"namespace,omitempty"`
	EnvProcess             string            `json:"envProcess,omitempty"`
	Constraints            []string          `json:"constraints,omitempty"`
	Secrets                []string          `json:"secrets,omitempty"`
	Labels                 map[string]string `json:"labels,omitempty"`
	Annotations            map[string]string `json:"annotations,omitempty"`
	ReadOnlyRootFilesystem bool              `json:"readOnlyRootFilesystem,omitempty"`
	InvocationCount        float64           `json:"invocationCount,omitempty"`
	Replicas               uint64            `json:"replicas,omitempty"`
	AvailableReplicas      uint64            `json:"availableReplicas,omitempty"`
	CreatedAt              time.Time         `json:"createdAt"`
}

func (g *Gateway) status(m *member) status {
	s := status{
		Name: m.Name, Image: m.Image, Namespace: cmp.Or(m.Namespace, DefaultNamespace), EnvProcess: m.FProcess,
		Constraints: m.Constraints, Secrets: m.Secrets, Labels: m.Labels, Annotations: m.Annotations,
		ReadOnlyRootFilesystem: m.ReadOnlyRootFilesystem, InvocationCount: float64(m.count.Load()), Replicas: 1, CreatedAt: g.started.UTC(),
	}
	if m.Backend.Runs() {
		s.AvailableReplicas = 1
	}
	return s
}

// system answers what of OpenFaaS's own routes only reads.
func (g *Gateway) system(w http.ResponseWriter, r *http.Request, rest string) {
	name, isFunction := strings.CutPrefix(rest, "function/")
	switch {
	case rest != "functions" && rest != "info" && rest != "namespaces" && !isFunction:
		refuse(w, http.StatusNotImplemented, "this gateway has /system/functions, /system/function/NAME, /system/namespaces and /system/info")
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		refuse(w, http.StatusMethodNotAllowed, "this gateway only shows functions: which there are, the stack file says")
	case isFunction:
		m := g.named(name)
		if m == nil {
			refuse(w, http.StatusNotFound, "there is no function "+plain.Short(name))
			return
		}
		writeJSON(w, g.status(m))
	case rest == "functions":
		all := []status{}
		for _, f := range g.o.Functions {
			s := g.status(g.members[f.Name])
			if ns := r.URL.Query().Get("namespace"); ns == "" || f.Namespace == "" || ns == f.Namespace {
				s.Namespace = cmp.Or(f.Namespace, ns, DefaultNamespace)
				all = append(all, s)
			}
		}
		writeJSON(w, all)
	case rest == "namespaces":
		writeJSON(w, []string{DefaultNamespace})
	default:
		version := map[string]string{"release": g.o.Version, "sha": ""}
		writeJSON(w, map[string]any{
			"provider": map[string]any{"name": "fnb", "orchestration": "buildkit", "version": version},
			"version":  version, "arch": runtime.GOARCH,
		})
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client's business
}
