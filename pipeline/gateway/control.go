package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// A Sent is what became of a dead letter that was sent again.
type Sent struct {
	ID       string `json:"id"`
	Function string `json:"function,omitempty"`
	Status   int    `json:"status,omitempty"` // of the function's answer
	Error    string `json:"error,omitempty"`  // why it is a dead letter still
}

const controlPath = "/dead-letters/"

// Control is a handler for the user alone: it sends dead letters again.
func (g *Gateway) Control() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := strings.CutPrefix(r.URL.Path, controlPath)
		if !ok || r.Method != http.MethodPost {
			http.NotFound(w, r)
			return
		}
		sent := Sent{ID: id}
		var err error
		if sent.Status, err = g.Resend(r.Context(), id); err != nil {
			sent.Error = err.Error()
		}
		writeJSON(w, sent)
	})
}

// Send has the gateway behind a transport send a dead letter again. Its error is of the
// gateway; whether the letter arrived is in what it returns.
func Send(ctx context.Context, rt http.RoundTripper, c Call) (Sent, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://gateway"+controlPath+c.ID, http.NoBody)
	if err != nil {
		return Sent{}, err
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		return Sent{}, err
	}
	defer res.Body.Close()
	sent := Sent{}
	if err := json.NewDecoder(res.Body).Decode(&sent); err != nil || res.StatusCode != http.StatusOK {
		return Sent{}, errors.New("the gateway answered " + res.Status)
	}
	sent.Function = c.Function
	return sent, nil
}
