package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"golang.org/x/time/rate"
)

const (
	keysEvery   = 15 * time.Minute // keys are fetched again
	keysUnknown = 5 * time.Second  // and, at most this often, when a token names one that is not known
	keysWait    = time.Second      // for which such a token's request waits, at most
)

// keySet is the gateway's keys as they were last fetched. Anybody can name a key that is not known, so what that costs
// is bounded: requests share one fetch, and wait for none that has to be put off.
type keySet struct {
	jwkset.Storage
	again jwkset.Storage  // the same keys, fetched again where one is not known
	ctx   context.Context // of the fetches, which no single request ends

	mu      sync.Mutex
	fetched chan struct{} // closed at the end of the last fetch that began
	next    time.Time     // before which none may begin
}

// newKeySet fetches the keys at address, and again every keysEvery until ctx ends.
func newKeySet(ctx context.Context, client *http.Client, address string, complain func(error)) (*keySet, error) {
	known, err := jwkset.NewStorageFromHTTP(address, jwkset.HTTPClientStorageOptions{
		Client: client, Ctx: ctx, HTTPTimeout: gatewayWait, RefreshInterval: keysEvery,
		RefreshErrorHandler: func(_ context.Context, err error) { complain(fmt.Errorf("fetching keys: %w", err)) },
	})
	if err != nil {
		return nil, err
	}
	again, err := jwkset.NewHTTPClient(jwkset.HTTPClientOptions{
		HTTPURLs: map[string]jwkset.Storage{address: known}, RateLimitWaitMax: gatewayWait, // the fetch included
		RefreshUnknownKID: rate.NewLimiter(rate.Inf, 1),
	})
	if err != nil {
		return nil, err
	}
	return &keySet{Storage: known, again: again, ctx: ctx, fetched: make(chan struct{})}, nil
}

// KeyRead returns the key that a signature is checked with.
func (k *keySet) KeyRead(ctx context.Context, kid string) (jwkset.JWK, error) {
	key, err := k.Storage.KeyRead(ctx, kid)
	if errors.Is(err, jwkset.ErrKeyNotFound) {
		k.fetch(kid)
		key, err = k.Storage.KeyRead(ctx, kid)
	}
	if err != nil {
		return key, err
	}
	if ops := key.Marshal().KEYOPS; len(ops) > 0 && !slices.Contains(ops, jwkset.KeyOpsVerify) {
		return key, fmt.Errorf("key %q is for %q", kid, ops) // RFC 7517, 4.3
	}
	return key, nil
}

// fetch fetches the keys for the sake of kid, if that may be done now, and waits for a while if it is being done.
func (k *keySet) fetch(kid string) {
	k.mu.Lock()
	if now := time.Now(); now.After(k.next) {
		k.next = now.Add(keysUnknown)
		done := make(chan struct{})
		k.fetched = done
		go func() {
			defer close(done)
			_, _ = k.again.KeyRead(k.ctx, kid) // its errors are logged, and that there is no such key is seen by who waits
		}()
	}
	fetched := k.fetched
	k.mu.Unlock()
	timer := time.NewTimer(keysWait)
	defer timer.Stop()
	select {
	case <-fetched:
	case <-timer.C:
	}
}

// boundedTransport ends answers that are longer than anything a gateway has to say.
type boundedTransport struct{ http.RoundTripper }

// RoundTrip does the request.
func (b *boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		const most = 1 << 20
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, most), answer.Body}
	}
	return answer, err
}
