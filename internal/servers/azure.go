package servers

import (
	"bytes"
	"io"
	"net/http"
	"strings"
)

// likeAzure imitates one rule of Azure DevOps in front of a git server: who does not ask
// for multi_ack is refused with TF401041. It is no Azure, and has no other of its rules.
func likeAzure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
			body, err := io.ReadAll(r.Body)
			wants, _, _ := bytes.Cut(body, []byte("\n"))
			if err != nil || !bytes.Contains(wants, []byte(" multi_ack")) {
				http.Error(w, "TF401041: Unsupported version of the Git protocol (said by an imitation of Azure DevOps).", http.StatusBadRequest)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		next.ServeHTTP(w, r)
	})
}
