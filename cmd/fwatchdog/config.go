package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kballard/go-shellquote"
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
	process  []string // fprocess, split into words
	mode     string
	upstream *url.URL // only in http mode

	port        int // 0: any free port
	metricsPort int // 0: no metrics listener
	ownsPort    bool

	readTimeout   time.Duration
	writeTimeout  time.Duration
	execTimeout   time.Duration // 0: none
	drainPause    time.Duration // healthcheck_interval
	maxInflight   int           // 0: no limit
	queueDepth    int
	queueTimeout  time.Duration
	contentType   string
	staticPath    string
	readyPath     string
	suppressLock  bool
	bufferBody    bool
	bodyMost      int // body_buffer_size: bytes of a body that is held whole
	prefixLogs    bool
	logBufferSize int // -1: no limit
	logCallID     bool
	logFormat     string

	jwtAuth, jwtAuthDebug, jwtAuthLocal bool
	name, namespace                     string

	lambdaAPI         string // host:port of the Lambda Runtime API
	lambdaStream      bool
	lambdaConcurrency int
}

// environment reads typed values from NAME=value pairs and collects what is wrong with them,
// so that one start shows every mistake.
type environment struct {
	values   map[string]string
	problems []error
}

func newEnvironment(pairs []string) *environment {
	e := &environment{values: make(map[string]string, len(pairs))}
	for _, pair := range pairs {
		if name, value, ok := strings.Cut(pair, "="); ok && value != "" {
			e.values[name] = value
		}
	}
	return e
}

func (e *environment) problem(name, format string, args ...any) {
	e.problems = append(e.problems, fmt.Errorf("%s: "+format, append([]any{name}, args...)...))
}

// text returns the value of the last of names that is set, or fallback. An empty variable is an unset one.
func (e *environment) text(fallback string, names ...string) string {
	for _, name := range slices.Backward(names) {
		if value, ok := e.values[name]; ok {
			return value
		}
	}
	return fallback
}

func (e *environment) boolean(name string, fallback bool) bool {
	value, ok := e.values[name]
	if !ok {
		return fallback
	}
	parsed, err := strconv.ParseBool(value)
	if err != nil {
		e.problem(name, "%q is neither true nor false", value)
		return fallback
	}
	return parsed
}

func (e *environment) integer(name string, fallback, least, most int) int {
	value, ok := e.values[name]
	if !ok {
		return fallback
	}
	parsed, err := strconv.Atoi(value)
	if err != nil || parsed < least || parsed > most {
		e.problem(name, "%q is not a whole number from %d to %d", value, least, most)
		return fallback
	}
	return parsed
}

// duration reads whole seconds ("30") or Go's notation ("1m30s").
func (e *environment) duration(name string, fallback time.Duration) time.Duration {
	value, ok := e.values[name]
	if !ok {
		return fallback
	}
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 && seconds < 1<<30 {
		return time.Duration(seconds) * time.Second
	}
	parsed, err := time.ParseDuration(value)
	if err != nil || parsed < 0 {
		e.problem(name, "%q is neither a number of seconds nor a duration such as 1m30s", value)
		return fallback
	}
	return parsed
}

// readConfig reads the whole configuration from NAME=value pairs. The error, if any, names every
// variable that is wrong.
func readConfig(pairs []string) (*config, error) {
	e := newEnvironment(pairs)
	c := &config{
		readTimeout:  e.duration("read_timeout", 30*time.Second),
		writeTimeout: e.duration("write_timeout", 30*time.Second),
		execTimeout:  e.duration("exec_timeout", 30*time.Second),
		maxInflight:  e.integer("max_inflight", 0, 0, 1<<20),
		queueDepth:   e.integer("queue_depth", 0, 0, 1<<20),
		queueTimeout: e.duration("queue_timeout", 10*time.Second),
		contentType:  e.text("application/octet-stream", "content_type"),
		staticPath:   e.text("/home/app/public", "static_path"),
		readyPath:    e.text("", "ready_path"),
		suppressLock: e.boolean("suppress_lock", false),
		bufferBody:   e.boolean("http_buffer_req_body", false) || e.boolean("buffer_http", false),
		prefixLogs:   e.boolean("prefix_logs", true),
		logCallID:    e.boolean("log_callid", false) || e.boolean("log_call_id", false),
		logFormat:    e.text("text", "log_format"),
		bodyMost:     e.integer("body_buffer_size", 16<<20, 64<<10, 1<<30),
		jwtAuth:      e.boolean("jwt_auth", false),
		jwtAuthDebug: e.boolean("jwt_auth_debug", false),
		jwtAuthLocal: e.boolean("jwt_auth_local", false),
		name:         e.text("", "K_SERVICE", "OPENFAAS_NAME"),
		namespace:    e.text("", "OPENFAAS_NAMESPACE"),
		lambdaAPI:    e.text("", "AWS_LAMBDA_RUNTIME_API"),
		metricsPort:  e.integer("metrics_port", 8081, 0, 65535),
	}
	c.readPort(e)
	c.readFunction(e)
	c.readLogs(e)
	c.readLambda(e)
	c.readIdentity(e)
	if c.readyPath != "" && (c.readyPath[0] != '/' || !visible(c.readyPath)) {
		e.problem("ready_path", "%q is no path such as /ready", c.readyPath)
	}
	if c.writeTimeout == 0 {
		e.problem("write_timeout", "must be longer than 0")
	}
	pause := c.writeTimeout
	if _, serverless := e.values["K_SERVICE"]; serverless {
		pause = 0 // Knative and Cloud Run stop sending requests before they send SIGTERM.
	}
	c.drainPause = e.duration("healthcheck_interval", pause)
	return c, errors.Join(e.problems...)
}

// readPort takes port, and PORT where a platform sets that instead.
func (c *config) readPort(e *environment) {
	c.port = e.integer("port", 8080, 0, 65535)
	_, ours := e.values["port"]
	_, platforms := e.values["PORT"]
	if platforms && !ours {
		c.port = e.integer("PORT", 8080, 1, 65535)
		c.ownsPort = true
	}
}

// readFunction takes mode, fprocess and upstream_url, which decide about one another.
func (c *config) readFunction(e *environment) {
	address := e.text("", "upstream_url", "http_upstream_url")
	fallback := modeStreaming
	if address != "" {
		fallback = modeHTTP
	}
	c.mode = e.text(fallback, "mode")
	switch c.mode {
	case modeHTTP, modeStreaming, modeSerializing, modeStatic:
	case "afterburn":
		e.problem("mode", "afterburn is not supported; use http, streaming or serializing")
	case "inproc":
		e.problem("mode", "inproc needs a program that links the watchdog as a library; use http")
	default:
		e.problem("mode", "%q is not a mode; use http, streaming, serializing or static", c.mode)
	}
	words, err := shellquote.Split(e.text("", "fprocess", "function_process"))
	switch {
	case err != nil:
		e.problem("fprocess", "%v", err)
	case len(words) == 0 && c.mode != modeStatic:
		e.problem("fprocess", "is not set: give the command that runs the function")
	}
	c.process = words
	if c.mode == modeStatic {
		if info, err := os.Stat(c.staticPath); err != nil || !info.IsDir() {
			e.problem("static_path", "%q is not a folder that can be read", c.staticPath)
		}
	}
	if c.mode != modeHTTP {
		return
	}
	if address == "" {
		e.problem("upstream_url", "is not set: http mode needs the function's address, such as http://127.0.0.1:5000")
		return
	}
	if c.upstream, err = parseUpstream(address); err != nil {
		e.problem("upstream_url", "%v", err)
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
		return nil, fmt.Errorf("%q begins with none of http, https and unix", address)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%q names no host", address)
	}
	return u, nil
}

func (c *config) readLogs(e *environment) {
	const most = 1 << 30
	c.logBufferSize = e.integer("log_buffer_size", 65536, -1, most)
	if c.logBufferSize == 0 {
		e.problem("log_buffer_size", "0 holds no line; use -1 for no limit")
	}
	if c.logFormat != "text" && c.logFormat != logFormatJSON {
		e.problem("log_format", "%q is neither text nor json", c.logFormat)
	}
}

func (c *config) readLambda(e *environment) {
	switch invoke := e.text("buffered", "lambda_invoke_mode"); invoke {
	case "buffered":
	case "response_stream":
		c.lambdaStream = true
	default:
		e.problem("lambda_invoke_mode", "%q is neither buffered nor response_stream", invoke)
	}
	c.lambdaConcurrency = e.integer("AWS_LAMBDA_MAX_CONCURRENCY", 1, 1, 1<<10)
}

// readIdentity completes the function's name and namespace where requests need a token for them.
func (c *config) readIdentity(e *environment) {
	if !c.jwtAuth {
		return
	}
	if c.name == "" {
		e.problem("OPENFAAS_NAME", "is not set: jwt_auth needs the function's name")
	}
	if c.namespace == "" {
		const account = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
		text, err := os.ReadFile(account)
		if err != nil {
			e.problem("OPENFAAS_NAMESPACE", "is not set, and jwt_auth needs it: %v", err)
		}
		c.namespace = strings.TrimSpace(string(text))
	}
}
