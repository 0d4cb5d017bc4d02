package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"fnb/internal/plain"
)

// A queue has the calls that are not done: their files are in a folder of this run.
type queue struct {
	letters *Letters
	run     string // the folder
	unlock  func()

	ctx  context.Context //nolint:containedctx // of the calls, which last longer than the requests that they came with
	stop context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	calls   int
	bytes   int64
	dead    int // dead letters, as far as is known
	kept    int // that this run has kept at its end
	sending map[string]bool
}

func (q *queue) open(g *Gateway) (err error) {
	if q.letters, err = OpenLetters(g.o.Folder); err != nil {
		return fmt.Errorf("opening the dead letters: %w", err)
	}
	names, err := q.letters.names(lettersFolder)
	if err == nil {
		q.run, q.unlock, err = q.letters.begin()
	}
	if err != nil {
		q.letters.Close()
		return fmt.Errorf("opening the dead letters: %w", err)
	}
	q.dead, q.sending = len(names), map[string]bool{}
	q.ctx, q.stop = context.WithCancel(context.Background())
	return nil
}

// close ends what is under way, and returns how many calls became dead letters by that.
func (q *queue) close() int {
	q.mu.Lock()
	closed := q.closed
	q.closed = true
	q.mu.Unlock()
	if closed {
		return 0
	}
	q.stop()
	q.work.Wait()
	names, err := q.letters.names(q.run)
	if err == nil && len(names) == 0 {
		_ = q.letters.root.RemoveAll(q.run) // what is left of it, the next run removes
	}
	q.unlock()
	q.letters.Close()
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.kept
}

// A fullError says why no more calls are taken.
type fullError struct{ why string }

func (e *fullError) Error() string { return e.why }

// enter reserves a place for a call, whose body may have size bytes.
func (g *Gateway) enter(size int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead >= g.o.Limits.Letters { // some may have been sent or removed
		if names, err := g.letters.names(lettersFolder); err == nil {
			g.dead = len(names)
		}
	}
	switch l := g.o.Limits; {
	case g.closed:
		return errClosed
	case g.calls >= l.Calls:
		return &fullError{fmt.Sprintf("%d calls wait already", l.Calls)}
	case g.bytes+size > l.Bytes:
		return &fullError{fmt.Sprintf("the bodies of the calls that wait have %s already", plain.Size(g.bytes))}
	case g.dead+g.calls >= l.Letters:
		return &fullError{fmt.Sprintf("there are %d dead letters: send them again or remove them, see fnb invoke --dead-letters", g.dead)}
	}
	g.calls++
	g.bytes += size
	g.work.Add(1)
	return nil
}

// leave gives a call's place back.
func (g *Gateway) leave(size int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls--
	g.bytes -= size
	g.work.Done()
}

// accept takes a call that is carried out later.
func (g *Gateway) accept(w http.ResponseWriter, r *http.Request, rest string) {
	m, path := g.find(w, rest)
	if m == nil {
		return
	}
	now := time.Now()
	tag(r.Header, w.Header(), now)
	from := callerOf(r.Context())
	callback := r.Header.Get(headerCallback)
	if status, err := g.mayCallBack(callback, from); err != nil {
		refuse(w, status, headerCallback+": "+err.Error())
		return
	}
	limit := g.o.Limits.Body
	if r.ContentLength > limit {
		g.tooLarge(w)
		return
	}
	reserved := r.ContentLength
	if reserved < 0 {
		reserved = limit
	}
	if err := g.enter(reserved); err != nil {
		status := http.StatusTooManyRequests
		if errors.Is(err, errClosed) {
			status = http.StatusServiceUnavailable
		}
		w.Header().Set("Retry-After", "1")
		refuse(w, status, err.Error())
		return
	}
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	header := endToEnd(r.Header)
	forward(header, r)
	c := Call{
		V: 1, ID: newID(now), CallID: r.Header.Get(headerCallID), Function: m.Name, Method: r.Method, Path: path, Host: r.Host,
		Header: header, Callback: callback, From: from, Accepted: now.UTC().Truncate(time.Millisecond),
	}
	c.Seal = g.seal(&c)
	counted := &counter{r: http.MaxBytesReader(w, r.Body, limit)}
	err := g.letters.write(g.run+"/"+c.ID, c, counted)
	if err != nil {
		g.leave(reserved)
		switch {
		case errors.As(err, new(*http.MaxBytesError)):
			g.tooLarge(w)
		case counted.failed:
			status, why := Unsent(r)
			refuse(w, cmp.Or(status, http.StatusBadRequest), cmp.Or(why, "the request's body did not come whole"))
		default:
			refuse(w, http.StatusInternalServerError, "keeping the call: "+err.Error())
		}
		return
	}
	c.Size = counted.n
	g.shrink(reserved - c.Size)
	go func() {
		defer g.leave(c.Size)
		g.carryOut(m, c)
	}()
	w.WriteHeader(http.StatusAccepted)
}

// shrink gives back what was reserved for a body and not needed.
func (g *Gateway) shrink(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bytes -= n
}

func (g *Gateway) tooLarge(w http.ResponseWriter) {
	refuse(w, http.StatusRequestEntityTooLarge, "the body of a call that is carried out later has at most "+plain.Size(g.o.Limits.Body))
}

// A counter counts what is read, and tells an error of the reader from others.
type counter struct {
	r      io.Reader
	n      int64
	failed bool
}

// Read implements [io.Reader].
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.failed = err != nil && !errors.Is(err, io.EOF)
	return n, err
}

// carryOut tries a call until it is done or given up.
func (g *Gateway) carryOut(m *member, c Call) {
	name := g.run + "/" + c.ID
	for {
		last := g.try(g.ctx, m, &c, name, false)
		if last.err == nil {
			_ = g.letters.root.Remove(name) // at worst it is called once more after a crash
			return
		}
		c.Why = last.err.Error()
		if last.ended || !last.again || c.Tries >= m.policy.attempts {
			g.keep(name, c, last.ended)
			return
		}
		select {
		case <-time.After(m.policy.pause(c.Tries, last.after)):
		case <-g.ctx.Done():
		}
	}
}

// keep makes a dead letter of a call.
func (g *Gateway) keep(name string, c Call, ended bool) {
	if err := g.letters.bury(name, c); err != nil {
		c.Why += "; it stays in " + callsFolder + ", since keeping it met: " + err.Error()
	}
	g.mu.Lock()
	g.dead++
	if ended {
		g.kept++
	}
	g.mu.Unlock()
	if !ended && g.o.Kept != nil {
		g.o.Kept(c)
	}
}

// An outcome is what became of one try of a call.
type outcome struct {
	status int
	err    error         // nil is done
	again  bool          // trying again may help
	after  time.Duration // that the function wants to have passed before
	ended  bool          // the run has ended
}

// errNoFunction says that a dead letter's function is not one of this run.
var errNoFunction = errors.New("this fnb run has no such function")

// errEnded says that a call was not done when its run ended.
var errEnded = errors.New("fnb run ended before the call was done")

// errSending says that somebody else sends a dead letter.
var errSending = errors.New("it is being sent already")

// Resend tries a dead letter once more, with its callback. What succeeds is no dead letter
// any more; of what does not the letter says why. The status is the function's answer, 0 without one.
func (g *Gateway) Resend(ctx context.Context, id string) (status int, err error) {
	c, rest, err := g.letters.Open(id)
	if err != nil {
		return 0, err
	}
	_ = rest.Close() // try reads it
	m := g.named(c.Function)
	if m == nil {
		return 0, errNoFunction
	}
	g.mu.Lock()
	switch {
	case g.closed:
		err = errClosed
	case g.sending[id]:
		err = errSending
	default:
		g.sending[id] = true
		g.work.Add(1)
	}
	g.mu.Unlock()
	if err != nil {
		return 0, err
	}
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.sending, id)
		g.work.Done()
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(g.ctx, cancel)()
	name := lettersFolder + "/" + id
	last := g.try(ctx, m, &c, name, true)
	if last.err == nil {
		return last.status, g.letters.Remove(id)
	}
	if ctx.Err() != nil {
		return last.status, ctx.Err() // it is as it was
	}
	c.Why = last.err.Error()
	return last.status, errors.Join(last.err, g.letters.bury(name, c))
}

// try carries a call out once. Where it is the last time, its callback hears also of an
// answer after which it would be tried again.
func (g *Gateway) try(ctx context.Context, m *member, c *Call, name string, last bool) (o outcome) {
	defer func() {
		if o.err != nil && g.ctx.Err() != nil {
			o.ended, o.err = true, errEnded
		}
	}()
	a, o := g.ask(ctx, m, c, name)
	if a.body != nil {
		defer func() { _ = a.body.Close() }() // it has no name any more
	}
	last = last || c.Tries >= m.policy.attempts
	if c.Callback == "" || a.status == 0 || o.again && !last {
		return o
	}
	// The function has done its part: for the callback it is not asked again, but by the user.
	if err := g.callBack(ctx, m.policy, c, a); err != nil && o.err == nil {
		o.err = fmt.Errorf("its callback %s: %w", ShownURL(c.Callback), err)
	}
	return o
}

// ask has the function answer a call, when it is the call's turn. The answer has a status
// where a callback may be told of it, and a body that has to be closed.
func (g *Gateway) ask(ctx context.Context, m *member, c *Call, name string) (a answer, o outcome) {
	select {
	case m.turns <- struct{}{}:
		defer func() { <-m.turns }()
	case <-ctx.Done():
		return a, outcome{err: ctx.Err()}
	}
	_, in, err := g.letters.read(name)
	if err != nil {
		return a, outcome{err: err}
	}
	defer in.Close()
	c.Tries++
	a = answer{status: http.StatusServiceUnavailable, began: time.Now()}
	rt, done, err := m.Backend.Take(ctx)
	if err != nil {
		return a, outcome{err: err, again: true}
	}
	defer done()
	m.count.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := c.request(ctx, in, a.began)
	if err != nil {
		return answer{}, outcome{err: err}
	}
	res, err := rt.RoundTrip(req)
	if a.took = time.Since(a.began); err != nil {
		return a, outcome{err: err, again: true}
	}
	defer res.Body.Close()
	o = outcome{status: res.StatusCode, again: m.policy.again(res.StatusCode), after: retryAfter(res.Header, time.Now())}
	if o.again || res.StatusCode >= http.StatusInternalServerError {
		o.err = fmt.Errorf("it answered %s", strings.TrimSpace(res.Status))
	}
	a.status, a.header = res.StatusCode, endToEnd(res.Header)
	if c.Callback == "" {
		_, err = io.Copy(io.Discard, io.LimitReader(res.Body, g.o.Limits.Body))
	} else {
		a.body, err = g.spool(res.Body)
	}
	if a.took = time.Since(a.began); err != nil {
		o.err, o.again = fmt.Errorf("reading its answer: %w", err), !errors.As(err, new(*http.MaxBytesError))
		return answer{}, o
	}
	return a, o
}

// request is what the function is asked.
func (c *Call) request(ctx context.Context, in io.Reader, began time.Time) (*http.Request, error) {
	path, query, _ := strings.Cut(c.Path, "?")
	req, err := http.NewRequestWithContext(ctx, c.Method, "http://function", in)
	if err != nil {
		return nil, err
	}
	setPath(req, path)
	req.URL.RawQuery = query
	if c.Header != nil {
		req.Header = c.Header.Clone()
	}
	req.Header.Del("Content-Length")
	tag(req.Header, http.Header{}, began)
	req.Host, req.ContentLength = c.Host, c.Size
	if c.Size == 0 {
		req.Body = http.NoBody
	}
	return req, nil
}
