package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// giveUpPatience bounds how long giving an upload up may take.
const giveUpPatience = 5 * time.Second

// MayPush asks the registry of ref whether it would take a push to ref's
// repository: it begins an upload, and gives that up. Where the registry refuses,
// the error is what a push would say: an [*AuthError], a [*NoRegistryError], or a
// [*PolicyError] of the code DENIED. Any other answer, and none, is left to the push
// and is no error.
func (c *Client) MayPush(ctx context.Context, ref string) error {
	r, err := c.parse(ref)
	if err != nil {
		return err
	}
	ctx, answered := question(asking(ctx, r))
	defer answered()
	if err = c.tryUpload(ctx, r); err == nil {
		return nil
	}
	err = c.explain(ctx, err, r)
	if auth, ok := errors.AsType[*AuthError](err); ok {
		return auth
	}
	if none, ok := errors.AsType[*NoRegistryError](err); ok {
		return none
	}
	if policy, ok := errors.AsType[*PolicyError](err); ok && policy.Code == string(transport.DeniedErrorCode) {
		return policy
	}
	return nil
}

// tryUpload begins an upload to r's repository, and gives it up.
func (c *Client) tryUpload(ctx context.Context, r reference) error {
	auth, err := authn.Resolve(ctx, c.keys, r.repo)
	if err != nil {
		return err
	}
	tr, err := transport.NewWithContext(ctx, r.repo.Registry, auth, transport.NewUserAgent(c.pings, c.opts.UserAgent), []string{r.repo.Scope(transport.PushScope)})
	if err != nil {
		return err
	}
	client := &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	begin := fmt.Sprintf("%s://%s/v2/%s/blobs/uploads/", r.repo.Scheme(), r.repo.RegistryStr(), r.repo.RepositoryStr())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, begin, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read from
	if err := transport.CheckError(resp, http.StatusAccepted); err != nil {
		return err
	}
	if upload, err := resp.Location(); err == nil {
		giveUp(ctx, client, upload.String())
	}
	return nil
}

// giveUp gives an upload up. Where that fails the registry forgets it some day.
func giveUp(ctx context.Context, client *http.Client, upload string) {
	ctx, cancel := context.WithTimeout(ctx, giveUpPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, upload, http.NoBody)
	if err != nil {
		return
	}
	if resp, err := client.Do(req); err == nil {
		_ = resp.Body.Close() // it is of no interest
	}
}
