package builder

import "testing"

func TestRefusedAddress(t *testing.T) {
	const step = "[2/2] RUN python3 fetch.py http://127.0.0.1:5000/v2/"
	for name, c := range map[string]struct {
		step, line, want string
	}{
		"bash":            {step, "bash: connect: Connection refused: /dev/tcp/127.0.0.1/3141", "127.0.0.1:3141"},
		"curl":            {step, "curl: (7) Failed to connect to localhost port 3141 after 0 ms: Connection refused", "localhost:3141"},
		"node":            {step, "Error: connect ECONNREFUSED 127.0.0.1:3141", "127.0.0.1:3141"},
		"pip":             {step, "HTTPConnectionPool(host='127.0.0.1', port=3141): [Errno 111] Connection refused", "127.0.0.1:3141"},
		"python":          {step, "urllib.error.URLError: <urlopen error [Errno 111] Connection refused>", "127.0.0.1:5000"},
		"none named":      {"[2/2] RUN python3 fetch.py", "urllib.error.URLError: <urlopen error [Errno 111] Connection refused>", ""},
		"nothing refused": {step, "urllib.error.HTTPError: HTTP Error 404: Not Found", ""},
	} {
		if got := refusedAddress(&SolveError{Step: c.step, Log: []string{c.line}, Problem: "exit code: 1"}); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
