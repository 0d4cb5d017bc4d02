package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"fnb/cmd/fwatchdog/internal/metrics"
	"fnb/cmd/fwatchdog/internal/wire"
)

// watchdog is everything that answers one port.
type watchdog struct {
	config  *config
	logs    *logs
	lines   lineBuffers
	metrics *metrics.Requests
	limiter *limiter
	auth    *authenticator // nil: no token is needed
	health  *health
	ready   *readiness // nil: the function is not asked
	fn      function

	prefixed bool // something goes before each request's target, which only a path can follow
}

// serve runs the watchdog until a signal or the function's process ends it.
func serve(ctx context.Context, pairs []string, out, errs io.Writer) error {
	c, err := readConfig(pairs)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	d := &watchdog{config: c, logs: newLogs(c, out, errs), metrics: metrics.New(), limiter: newLimiter(c)}
	kids := &children{}
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(50) // what is alive is so little that this costs nothing, and it halves the memory
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go reap(ctx, kids)
	if c.jwtAuth {
		if d.auth, err = newAuthenticator(ctx, c, d.logs); err != nil {
			return err
		}
	}
	l := &life{watchdog: d, kids: kids, pairs: pairs, signals: signals}
	if c.lambdaAPI != "" {
		d.health = &health{}
		return l.runLambda(ctx)
	}
	if d.health, err = newHealth(c); err != nil {
		return err
	}
	if err := l.listen(ctx); err != nil {
		return err
	}
	defer l.close()
	d.logs.gatherRequests()
	defer d.logs.flush()
	return l.run(ctx)
}

// life is one run of a watchdog, from its listeners to its last request.
type life struct {
	*watchdog
	kids    *children
	pairs   []string
	signals <-chan os.Signal

	plain                *plainServer // takes the main port's connections first
	main, scrape         *http.Server
	mainPort, scrapePort net.Listener
	process              *functionProcess // the function's, in http mode
	upstream             *upstream
}

// listen takes the ports, before anything else happens: a port that is not free is found out at once.
func (l *life) listen(ctx context.Context) error {
	var err error
	if l.mainPort, err = listenOn(ctx, l.config.port); err != nil {
		return fmt.Errorf("port: %w", err)
	}
	if l.config.metricsPort == 0 {
		return nil
	}
	if l.scrapePort, err = listenOn(ctx, l.config.metricsPort); err != nil {
		l.close()
		return fmt.Errorf("metrics_port: %w", err)
	}
	return nil
}

func listenOn(ctx context.Context, port int) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(port)))
}

func (l *life) close() {
	for _, port := range []net.Listener{l.mainPort, l.scrapePort} {
		if port != nil {
			_ = port.Close() // a server may have closed it
		}
	}
}

// run starts the function and the servers, and stops them in the right order.
func (l *life) run(ctx context.Context) error {
	ready, err := l.startFunction()
	if err != nil {
		return err
	}
	failed := make(chan error, 4)
	l.startServers(failed)
	go func() {
		if err := l.becomeHealthy(ctx, ready); err != nil && ctx.Err() == nil {
			failed <- err
		}
	}()
	var exited <-chan struct{}
	if l.process != nil {
		exited = l.process.exited
	}
	select {
	case s := <-l.signals:
		l.logs.printf("%v: draining", s)
		l.drain(exited)
		return nil
	case <-exited:
		l.process.drainLogs()
		err = l.process.exitError()
		l.logs.printf("%v: stopping", err)
	case err = <-failed:
	}
	l.stop(time.Now().Add(l.config.writeTimeout))
	return err
}

// startFunction makes the function that answers requests. What it returns is closed when it can.
func (l *life) startFunction() (chan struct{}, error) {
	ready := make(chan struct{})
	var err error
	switch l.config.mode {
	case modeHTTP:
		if l.upstream, err = newUpstream(l.config.upstream); err != nil {
			return nil, fmt.Errorf("upstream_url: %w", err)
		}
		l.upstream.logs = l.logs
		if l.process, err = startProcess(l.config, l.logs, l.kids, l.pairs); err != nil {
			return nil, err
		}
		l.fn, l.prefixed = newProxy(l.upstream, l.config, ready), l.upstream.route.Prefix != ""
		l.ready = newReadiness(l.upstream, l.config)
		return ready, nil
	case modeStatic:
		l.fn = newStatic(l.config)
	default:
		if l.fn, err = newForker(l.config, l.logs, l.kids, l.pairs); err != nil {
			return nil, err
		}
	}
	close(ready)
	return ready, nil
}

func (l *life) startServers(failed chan<- error) {
	complaints := log.New(l.logs, "", 0)
	l.main = &http.Server{
		Handler:        l.watchdog,
		ReadTimeout:    l.config.readTimeout,
		WriteTimeout:   l.config.writeTimeout,
		MaxHeaderBytes: wire.HeadMost,
		ConnContext:    connContext,
		ErrorLog:       complaints,

		DisableGeneralOptionsHandler: true, // OPTIONS * is a request like others
	}
	rest := newHandover(l.mainPort.Addr())
	l.plain = newPlainServer(l.watchdog, l.config, l.logs, rest)
	go func() { failed <- fmt.Errorf("port %d: %w", l.config.port, l.main.Serve(rest)) }()
	go func() { failed <- fmt.Errorf("port %d: %w", l.config.port, l.plain.serve(l.mainPort)) }()
	l.logs.printf("fwatchdog %s: mode %s, listening on %s", versionText(), l.config.mode, l.mainPort.Addr())
	if l.scrapePort == nil {
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", l.metrics)
	l.scrape = &http.Server{Handler: mux, ReadTimeout: 5 * time.Second, ErrorLog: complaints}
	go func() {
		failed <- fmt.Errorf("metrics_port %d: %w", l.config.metricsPort, l.scrape.Serve(l.scrapePort))
	}()
}

// becomeHealthy waits until the function can take requests, and says so.
func (l *life) becomeHealthy(ctx context.Context, ready chan struct{}) error {
	if l.upstream != nil {
		if err := awaitListener(ctx, l.upstream); err != nil {
			return err
		}
		close(ready)
	}
	return l.health.accept()
}

// drain answers what is under way and what still comes during the pause, then stops. A second signal
// ends the pause.
func (l *life) drain(exited <-chan struct{}) {
	l.health.refuse()
	l.health.leaving.Store(true)
	pause := time.NewTimer(l.config.drainPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-l.signals:
	case <-exited:
	}
	l.stop(time.Now().Add(l.config.writeTimeout))
}

// stop lets the requests under way finish until deadline, then tells the function's process.
func (l *life) stop(deadline time.Time) {
	l.health.refuse()
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	_ = l.mainPort.Close() // no connection is accepted from here on
	l.plain.shutdown(ctx)
	if err := l.main.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		_ = l.main.Close() // what is left is cut off
	}
	for l.metrics.InFlight() > 0 && ctx.Err() == nil {
		time.Sleep(2 * time.Millisecond) // upgraded connections, which the server no longer knows
	}
	if l.process != nil {
		l.process.stop(max(time.Second, time.Until(deadline)))
	}
	if l.scrape != nil {
		_ = l.scrape.Close() // nobody is answered any more
	}
}

// ServeHTTP answers the watchdog's own paths, and passes all others to the function.
func (d *watchdog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c := connOf(r); c != nil {
		last, ok := c.admit(r)
		if !ok {
			panic(http.ErrAbortHandler)
		}
		if last {
			w.Header()["Connection"] = []string{"close"}
		}
	}
	refused := d.refusal(r)
	switch {
	case refused == 0 && r.URL.Path == "/_/health":
		d.serveOwn(w, r, d.health.serve)
	case refused == 0 && r.URL.Path == "/_/ready":
		d.serveOwn(w, r, d.serveReady)
	default:
		d.serveFunction(w, r, refused)
	}
}

// serveOwn answers one of the watchdog's own paths, which wants no body.
func (d *watchdog) serveOwn(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
	x := begin(w, r)
	defer x.end()
	if x.conn != nil {
		x.detach()
	}
	x.leaveBody()
	if d.health.leaving.Load() {
		w.Header()["Connection"] = []string{"close"}
	}
	serve(w, r)
}

// refusal is the status of a request that nobody is to see, or 0.
func (d *watchdog) refusal(r *http.Request) int {
	target := wire.Target(r)
	switch {
	case r.ProtoMajor != 1:
		return http.StatusHTTPVersionNotSupported // the preface of HTTP/2, which net/http lets through
	case r.Method == http.MethodConnect:
		return http.StatusNotImplemented
	case target == "", target == "*" && d.prefixed:
		return http.StatusBadRequest
	}
	return 0
}

// serveReady answers /_/ready with a status alone. Neither the limit nor the metrics count it.
func (d *watchdog) serveReady(w http.ResponseWriter, _ *http.Request) {
	switch {
	case !d.health.ok():
		w.WriteHeader(http.StatusServiceUnavailable)
	case d.limiter.full():
		w.WriteHeader(http.StatusTooManyRequests)
	case d.ready != nil:
		w.WriteHeader(d.ready.ask())
	default:
		w.WriteHeader(http.StatusOK)
	}
}

// serveFunction answers one request to the function, and counts and logs it; with the status refused, if there is one.
func (d *watchdog) serveFunction(w http.ResponseWriter, r *http.Request, refused int) {
	x := begin(w, r)
	x.leaving = &d.health.leaving
	d.metrics.Begin()
	defer d.conclude(x, r)
	if refused != 0 {
		x.Header()["Connection"] = []string{"close"} // what follows may be no HTTP
		x.fail(refused, "", "its method, target or version is not for a function")
		return
	}
	if !d.auth.admit(x, r) || !d.limiter.acquire(x) {
		return
	}
	defer d.limiter.release()
	d.fn.serve(x, r)
}

// conclude runs however the request ended, a panic included.
func (d *watchdog) conclude(x *exchange, r *http.Request) {
	x.end()
	if x.status == 0 {
		x.status = http.StatusInternalServerError // it was cut off before it began
	}
	took := time.Since(x.started)
	d.metrics.End(r.Method, x.status, took)
	d.logs.access(x, r, took, &d.lines)
}
