package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadConfigDefaults(t *testing.T) {
	t.Parallel()
	c, err := readConfig([]string{`fprocess=sh -c "echo hi"`})
	if err != nil {
		t.Fatal(err)
	}
	want := &config{
		functionConfig: functionConfig{
			process: []string{"sh", "-c", "echo hi"}, mode: modeStreaming, bodyMost: 16 << 20,
			contentType: "application/octet-stream", staticPath: "/home/app/public",
		},
		portConfig: portConfig{port: 8080, metricsPort: 8081},
		timeConfig: timeConfig{
			readTimeout: 30 * time.Second, writeTimeout: 30 * time.Second, execTimeout: 30 * time.Second, drainPause: 30 * time.Second,
		},
		limitConfig:  limitConfig{queueTimeout: 10 * time.Second},
		logConfig:    logConfig{prefixLogs: true, logBufferSize: 65536, logFormat: "text"},
		lambdaConfig: lambdaConfig{lambdaConcurrency: 1},
	}
	all := cmp.AllowUnexported(config{}, functionConfig{}, portConfig{}, timeConfig{}, limitConfig{}, logConfig{}, tokenConfig{}, lambdaConfig{})
	if diff := cmp.Diff(want, c, all); diff != "" {
		t.Errorf("the defaults differ (-want +got):\n%s", diff)
	}
}

// set is an environment of a function in http mode with more variables.
func set(pairs ...string) []string {
	return append([]string{"fprocess=node index.js", "upstream_url=http://127.0.0.1:3000"}, pairs...)
}

func TestReadConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, names string
		pairs       []string
	}{
		{"no fprocess", "fprocess", []string{"mode=streaming"}},
		{"an open quote in fprocess", "fprocess", []string{`fprocess=sh -c "echo`}},
		{"http mode without an upstream", "upstream_url", []string{"mode=http", "fprocess=x"}},
		{"an upstream that is no URL", "upstream_url", set("upstream_url=127.0.0.1:3000")},
		{"an upstream of another scheme", "upstream_url", set("upstream_url=ftp://127.0.0.1")},
		{"a relative unix socket", "upstream_url", set("upstream_url=unix:run/x.sock")},
		{"an unknown mode", "mode", set("mode=fast")},
		{"afterburn", "mode", set("mode=afterburn")},
		{"inproc", "mode", set("mode=inproc")},
		{"a port that is no number", "port", set("port=http")},
		{"a port out of range", "port", set("port=65536")},
		{"a platform's port that is no number", "PORT", set("PORT=x")},
		{"a metrics port that is no number", "metrics_port", set("metrics_port=x")},
		{"a duration that is none", "read_timeout", set("read_timeout=30 seconds")},
		{"a negative duration", "exec_timeout", set("exec_timeout=-1s")},
		{"a negative number of seconds", "exec_timeout", set("exec_timeout=-1")},
		{"a path that is none", "ready_path", set("ready_path=ready")},
		{"a path with a space", "ready_path", set("ready_path=/ready now")},
		{"no write timeout", "write_timeout", set("write_timeout=0")},
		{"a bad drain pause", "healthcheck_interval", set("healthcheck_interval=x")},
		{"a limit that is no number", "max_inflight", set("max_inflight=many")},
		{"a body that is too short to be held", "body_buffer_size", set("body_buffer_size=1000")},
		{"bodies without a limit", "body_buffer_size", set("body_buffer_size=-1")},
		{"a negative limit", "max_inflight", set("max_inflight=-1")},
		{"a bad queue", "queue_depth", set("queue_depth=x")},
		{"a bad queue time", "queue_timeout", set("queue_timeout=x")},
		{"a bad switch", "suppress_lock", set("suppress_lock=yes")},
		{"a bad log switch", "prefix_logs", set("prefix_logs=maybe")},
		{"a log buffer of nothing", "log_buffer_size", set("log_buffer_size=0")},
		{"a bad log buffer", "log_buffer_size", set("log_buffer_size=64k")},
		{"a bad log format", "log_format", set("log_format=xml")},
		{"no folder of files", "static_path", []string{"mode=static", "static_path=/does/not/exist"}},
		{"a token without a name", "OPENFAAS_NAME", set("jwt_auth=true", "OPENFAAS_NAMESPACE=fn")},
		{"a bad invoke mode", "lambda_invoke_mode", set("lambda_invoke_mode=x")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := readConfig(tt.pairs)
			if err == nil || !strings.HasPrefix(err.Error(), tt.names+": ") {
				t.Errorf("readConfig(%q) = %v, want an error that begins with %q", tt.pairs, err, tt.names+": ")
			}
		})
	}
}

func TestReadConfigReportsAllProblems(t *testing.T) {
	t.Parallel()
	_, err := readConfig([]string{"fprocess=x", "port=a", "exec_timeout=b", "max_inflight=c"})
	for _, name := range []string{"port", "exec_timeout", "max_inflight"} {
		if err == nil || !strings.Contains(err.Error(), name+": ") {
			t.Errorf("readConfig: %v does not name %s", err, name)
		}
	}
}

func TestReadConfigValues(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		pairs []string
		got   func(*config) any
		want  any
	}{
		{"seconds", set("read_timeout=5"), func(c *config) any { return c.readTimeout }, 5 * time.Second},
		{"a duration", set("read_timeout=1m30s"), func(c *config) any { return c.readTimeout }, 90 * time.Second},
		{"http mode by upstream_url", set(), func(c *config) any { return c.mode }, modeHTTP},
		{"the other name of upstream_url", []string{"fprocess=x", "http_upstream_url=http://h:1"}, func(c *config) any { return c.upstream.Host }, "h:1"},
		{"the other name of fprocess wins", set("function_process=python x.py"), func(c *config) any { return c.process[0] }, "python"},
		{"the drain pause follows write_timeout", set("write_timeout=7s"), func(c *config) any { return c.drainPause }, 7 * time.Second},
		{"no drain pause on Knative and Cloud Run", set("K_SERVICE=f"), func(c *config) any { return c.drainPause }, time.Duration(0)},
		{"PORT", set("PORT=9000"), func(c *config) any { return c.port }, 9000},
		{"port before PORT", set("PORT=9000", "port=9001"), func(c *config) any { return c.port }, 9001},
		{"no metrics", set("metrics_port=0"), func(c *config) any { return c.metricsPort }, 0},
		{"an empty variable is unset", set("port="), func(c *config) any { return c.port }, 8080},
		{"1 is true", set("suppress_lock=1"), func(c *config) any { return c.suppressLock }, true},
		{"buffer_http", set("buffer_http=true"), func(c *config) any { return c.bufferBody }, true},
		{"http_buffer_req_body", set("http_buffer_req_body=1"), func(c *config) any { return c.bufferBody }, true},
		{"exec_timeout off", set("exec_timeout=0"), func(c *config) any { return c.execTimeout }, time.Duration(0)},
		{"a unix socket", set("upstream_url=unix:///run/f.sock"), func(c *config) any { return c.upstream.Path }, "/run/f.sock"},
		{"an unlimited log line", set("log_buffer_size=-1"), func(c *config) any { return c.logBufferSize }, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := readConfig(tt.pairs)
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.got(c); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
