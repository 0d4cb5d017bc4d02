package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdSteady has a function asked all the time, and each request has to be answered with 200.
//
//	steady URL BODY             posts a body again and again
//	steady URL BODY RATE COUNT  posts it RATE times a second, COUNT times, whether or not earlier requests have been
//	                            answered: half of them over connections that are kept, half over one each
//	steady stop URL             ends the first, waits for the end of the second, and fails if a request was lost
func (r *rig) cmdSteady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 && len(args) != 4 {
		ts.Fatalf("usage: steady URL BODY [RATE COUNT], or steady stop URL")
	}
	if args[0] == "stop" {
		v, ok := r.steady.LoadAndDelete(args[1])
		if !ok {
			ts.Fatalf("nobody asks %s", args[1])
		}
		c := v.(*steadyClient)
		close(c.stop)
		c.done.Wait()
		if c.failed != "" || c.answers < max(c.count, 1) {
			if r.cluster != nil {
				ts.Logf("connections that led nowhere:\n%s", r.cluster.Log("network"))
			}
			ts.Fatalf("%d answers, %d requests without one, the first: %s", c.answers, c.lost, c.failed)
		}
		return
	}
	c := &steadyClient{url: args[0], body: []byte(args[1]), stop: make(chan struct{})}
	r.steady.Store(args[0], c)
	if len(args) == 2 {
		c.done.Go(c.run)
		return
	}
	rate, err := strconv.Atoi(args[2])
	ts.Check(err)
	c.count, err = strconv.Atoi(args[3])
	ts.Check(err)
	c.done.Go(func() { c.load(time.Second / time.Duration(rate)) })
}

// A steadyClient asks a function again and again.
type steadyClient struct {
	url   string
	body  []byte
	count int // requests that are wanted; 0 is until it is stopped
	stop  chan struct{}
	done  sync.WaitGroup

	mu            sync.Mutex
	answers, lost int
	failed        string // the first answer that was none
}

// run asks over one connection, until the first failure.
func (c *steadyClient) run() {
	for {
		select {
		case <-c.stop:
			return
		case <-time.After(5 * time.Millisecond):
		}
		c.ask(http.DefaultClient, "a kept connection")
		if c.failed != "" {
			return
		}
	}
}

// load asks each time that an interval has passed. Clients that have lost a request go on: how many are lost tells more.
func (c *steadyClient) load(interval time.Duration) {
	// A connection that rests for longer than a server's pause before its end may be closed while a request is on its way,
	// and is not one that a rollout could save.
	kept := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 2 * time.Second}, Timeout: time.Minute}
	single := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	defer kept.CloseIdleConnections()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var all sync.WaitGroup
	defer all.Wait()
	began := time.Now()
	for sent := 0; sent < c.count; {
		<-tick.C
		// A busy machine skips ticks; what they stood for is asked now.
		for due := int(time.Since(began) / interval); sent < min(due, c.count); sent++ {
			if sent%2 == 0 {
				all.Go(func() { c.ask(kept, "a kept connection") })
			} else {
				all.Go(func() { c.ask(single, "a connection of its own") })
			}
		}
	}
}

// ask posts the body once. The transport knows no way to send it again.
func (c *steadyClient) ask(client *http.Client, over string) {
	start := time.Now()
	err := func() error {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, c.url, io.NopCloser(bytes.NewReader(c.body)))
		if err != nil {
			return err
		}
		req.ContentLength = int64(len(c.body))
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }() // it was read
		text, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", res.Status, text)
		}
		return err
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.answers++
		return
	}
	c.lost++
	if c.failed == "" {
		c.failed = fmt.Sprintf("%s at %s, after %s over %s", err, start.Format(time.StampMilli), time.Since(start), over)
	}
}
