package main

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/kballard/go-shellquote"

	"fnb/cmd/fwatchdog/internal/environ"
	"fnb/cmd/fwatchdog/internal/wire"
)

// The modes: how a request reaches the function.
const (
	modeHTTP        = "http"
	modeStreaming   = "streaming"
	modeSerializing = "serializing"
	modeStatic      = "static"
)

// logFormatJSON is the value of log_format that makes every line one JSON object.
const logFormatJSON = "json"

// config is everything the environment says. docs/watchdog.md has one row for each field.
type config struct {
	functionConfig
	portConfig
	timeConfig
	limitConfig
	logConfig
	tokenConfig
	lambdaConfig
	suppressLock bool
}

// functionConfig is what the function is and how it is spoken to.
type functionConfig struct {
	process     []string // fprocess, split into words
	mode        string
	upstream    *url.URL // only in http mode
	readyPath   string
	staticPath  string
	contentType string
	bufferBody  bool
	bodyMost    int // body_buffer_size: bytes of a body that is held whole
}

type portConfig struct {
	port        int // 0: any free port
	metricsPort int // 0: no metrics listener
	ownsPort    bool
}

type timeConfig struct {
	readTimeout  time.Duration
	writeTimeout time.Duration
	execTimeout  time.Duration // 0: none
	drainPause   time.Duration // healthcheck_interval
}

// limitConfig is how many requests are served at a time.
type limitConfig struct {
	maxInflight  int // 0: no limit
	queueDepth   int
	queueTimeout time.Duration
}

type logConfig struct {
	prefixLogs    bool
	logBufferSize int // -1: no limit
	logCallID     bool
	logFormat     string
}

// tokenConfig is whether a request needs a token, and for which function.
type tokenConfig struct {
	jwtAuth, jwtAuthDebug, jwtAuthLocal bool
	name, namespace                     string
}

type lambdaConfig struct {
	lambdaAPI         string // host:port of the Lambda Runtime API
	lambdaStream      bool
	lambdaConcurrency int
}

// readConfig reads the whole configuration from NAME=value pairs. The error, if any, names every
// variable that is wrong.
func readConfig(pairs []string) (*config, error) {
	e := environ.New(pairs)
	c := &config{suppressLock: e.Boolean("suppress_lock", false)}
	c.limitConfig = limitConfig{
		maxInflight:  e.Integer("max_inflight", 0, 0, 1<<20),
		queueDepth:   e.Integer("queue_depth", 0, 0, 1<<20),
		queueTimeout: e.Duration("queue_timeout", 10*time.Second),
	}
	c.readPorts(e)
	c.readTimes(e)
	c.readFunction(e)
	c.readLogs(e)
	c.readLambda(e)
	c.readIdentity(e)
	return c, e.Err()
}

func (c *timeConfig) readTimes(e *environ.Reader) {
	const usual = 30 * time.Second
	c.readTimeout = e.Duration("read_timeout", usual)
	c.writeTimeout = e.Duration("write_timeout", usual)
	c.execTimeout = e.Duration("exec_timeout", usual)
	if c.writeTimeout == 0 {
		e.Problem("write_timeout", "must be longer than 0")
	}
	pause := c.writeTimeout
	if e.Has("K_SERVICE") {
		pause = 0 // Knative and Cloud Run stop sending requests before they send SIGTERM.
	}
	c.drainPause = e.Duration("healthcheck_interval", pause)
}

// readPorts takes port, and PORT where a platform sets that instead.
func (c *portConfig) readPorts(e *environ.Reader) {
	c.metricsPort = e.Integer("metrics_port", 8081, 0, 65535)
	c.port = e.Integer("port", 8080, 0, 65535)
	if e.Has("PORT") && !e.Has("port") {
		c.port = e.Integer("PORT", 8080, 1, 65535)
		c.ownsPort = true
	}
}

// readFunction takes mode, fprocess and upstream_url, which decide about one another, and how bodies are passed on.
func (c *functionConfig) readFunction(e *environ.Reader) {
	c.contentType = e.Text("application/octet-stream", "content_type")
	c.staticPath = e.Text("/home/app/public", "static_path")
	c.bufferBody = e.Boolean("http_buffer_req_body", false) || e.Boolean("buffer_http", false)
	c.bodyMost = e.Integer("body_buffer_size", 16<<20, 64<<10, 1<<30)
	c.readyPath = e.Text("", "ready_path")
	if c.readyPath != "" && (c.readyPath[0] != '/' || !wire.IsVisible(c.readyPath)) {
		e.Problem("ready_path", "%q is not a path such as /ready", c.readyPath)
	}
	address := e.Text("", "upstream_url", "http_upstream_url")
	fallback := modeStreaming
	if address != "" {
		fallback = modeHTTP
	}
	c.mode = e.Text(fallback, "mode")
	switch c.mode {
	case modeHTTP, modeStreaming, modeSerializing, modeStatic:
	case "afterburn":
		e.Problem("mode", "afterburn is not supported; use http, streaming or serializing")
	case "inproc":
		e.Problem("mode", "inproc needs a program that links the watchdog as a library; use http")
	default:
		e.Problem("mode", "%q is not a mode; use http, streaming, serializing or static", c.mode)
	}
	words, err := shellquote.Split(e.Text("", "fprocess", "function_process"))
	switch {
	case err != nil:
		e.Problem("fprocess", "%v", err)
	case len(words) == 0 && c.mode != modeStatic:
		e.Problem("fprocess", "is not set: give the command that runs the function")
	}
	c.process = words
	if c.mode == modeStatic {
		if info, err := os.Stat(c.staticPath); err != nil || !info.IsDir() {
			e.Problem("static_path", "%q is not a folder that can be read", c.staticPath)
		}
	}
	if c.mode != modeHTTP {
		return
	}
	if address == "" {
		e.Problem("upstream_url", "is not set: http mode needs the function's address, such as http://127.0.0.1:5000")
		return
	}
	if c.upstream, err = parseUpstream(address); err != nil {
		e.Problem("upstream_url", "%v", err)
	}
}

// parseUpstream accepts http and https URLs and, for a unix socket, unix:/path and unix:///path.
func parseUpstream(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	switch {
	case u.Scheme == "unix" && (u.Host != "" || !strings.HasPrefix(u.Path+u.Opaque, "/")):
		return nil, fmt.Errorf("%q: a unix socket is written unix:/absolute/path", address)
	case u.Scheme == "unix":
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%q must begin with http, https or unix", address)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%q names no host", address)
	}
	return u, nil
}

func (c *logConfig) readLogs(e *environ.Reader) {
	c.prefixLogs = e.Boolean("prefix_logs", true)
	c.logCallID = e.Boolean("log_callid", false) || e.Boolean("log_call_id", false)
	c.logFormat = e.Text("text", "log_format")
	const most = 1 << 30
	c.logBufferSize = e.Integer("log_buffer_size", 65536, -1, most)
	if c.logBufferSize == 0 {
		e.Problem("log_buffer_size", "0 holds no line; use -1 for no limit")
	}
	if c.logFormat != "text" && c.logFormat != logFormatJSON {
		e.Problem("log_format", "%q is neither text nor json", c.logFormat)
	}
}

func (c *lambdaConfig) readLambda(e *environ.Reader) {
	c.lambdaAPI = e.Text("", "AWS_LAMBDA_RUNTIME_API")
	switch invoke := e.Text("buffered", "lambda_invoke_mode"); invoke {
	case "buffered":
	case "response_stream":
		c.lambdaStream = true
	default:
		e.Problem("lambda_invoke_mode", "%q is neither buffered nor response_stream", invoke)
	}
	c.lambdaConcurrency = e.Integer("AWS_LAMBDA_MAX_CONCURRENCY", 1, 1, 1<<10)
}

// readIdentity completes the function's name and namespace where requests need a token for them.
func (c *tokenConfig) readIdentity(e *environ.Reader) {
	c.jwtAuth = e.Boolean("jwt_auth", false)
	c.jwtAuthDebug = e.Boolean("jwt_auth_debug", false)
	c.jwtAuthLocal = e.Boolean("jwt_auth_local", false)
	c.name = e.Text("", "K_SERVICE", "OPENFAAS_NAME")
	c.namespace = e.Text("", "OPENFAAS_NAMESPACE")
	if !c.jwtAuth {
		return
	}
	if c.name == "" {
		e.Problem("OPENFAAS_NAME", "is not set: jwt_auth needs the function's name")
	}
	if c.namespace == "" {
		const account = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
		text, err := os.ReadFile(account)
		if err != nil {
			e.Problem("OPENFAAS_NAMESPACE", "is not set, and jwt_auth needs it: %v", err)
		}
		c.namespace = strings.TrimSpace(string(text))
	}
}
