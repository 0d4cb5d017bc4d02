package conformance

import "time"

// Lives returns the containers that begin or end otherwise than the one that
// answers [Cases].
func Lives() []Life {
	return []Life{
		{
			Name: "the handler fails while it is loaded", Right: "the error is in the log with its stack; the exit code is 1", Env: []string{"CONF_FAIL=load"}, Ends: true, Code: 1, Log: secret, Within: 10 * time.Second,
			Except: map[string]string{"rust": "nothing of a handler runs before its start hook"},
		},
		{Name: "the start hook fails", Right: "the error is in the log; the exit code is 1, and no request was taken", Env: []string{"CONF_FAIL=start"}, Ends: true, Code: 1, Log: secret, Within: 10 * time.Second},
		{Name: "the start hook does not return", Right: "a line in the log every 10 seconds; the function is not ready, and the platform decides", Env: []string{"CONF_HANG=start"}, Ready: 503, Kills: true, Log: "start", Within: 14 * time.Second},
		{Name: "the ready hook fails", Right: "`/_/ready` is 503, and the error is in the log", Env: []string{"CONF_FAIL=ready"}, Ready: 503, Log: secret, Within: 5 * time.Second},
		{Name: "the ready hook says no", Right: "`/_/ready` is 503 until it says yes", NotReady: true, Ready: 503, Log: "stopped", Within: 5 * time.Second},
		{Name: "SIGTERM comes during a request", Right: "the request is answered whole, then the stop hook runs; the exit code is 0", Asks: "/slow/1000", Log: "stopped", Within: 5 * time.Second},
		{Name: "the stop hook fails", Right: "the error is in the log, and the function ends", Env: []string{"CONF_FAIL=stop"}, Log: secret, Within: 5 * time.Second},
		{Name: "the stop hook does not return", Right: "after 10 seconds a line in the log, and the function ends", Env: []string{"CONF_HANG=stop"}, Log: "stop", Within: 14 * time.Second},
	}
}
