package servers

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

var (
	actionsListens = regexp.MustCompile(`listening on (http://127\.0\.0\.1:\d+/\S*)`)
	s3Listens      = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
)

// An ActionsCache is a running cache of GitHub Actions: that of nektos/act, which speaks
// the first version of the protocol.
type ActionsCache struct {
	// URL is what a runner has in ACTIONS_CACHE_URL.
	URL string
	// Token is one for the branch main, as a runner has it in ACTIONS_RUNTIME_TOKEN.
	Token string
	// Dir is where the service keeps what it was given.
	Dir string

	proc *process
}

// StartActionsCache starts a cache of GitHub Actions and returns when it accepts
// connections.
func StartActionsCache(ctx context.Context) (*ActionsCache, error) {
	bin, err := Tool(ctx, "actionscache")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "fnb-actions-")
	if err != nil {
		return nil, err
	}
	a := &ActionsCache{Dir: dir, Token: actionsToken()}
	// The service outlives the call, not the program; Close stops it.
	if a.proc, err = startProcess("actionscache", exec.CommandContext(context.WithoutCancel(ctx), bin, dir)); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	m, err := a.proc.awaitLine(ctx, actionsListens, 30*time.Second)
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	a.URL = m[1]
	return a, nil
}

// actionsToken has the shape of GitHub's, without a signature.
func actionsToken() string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none"}`)) + "." + part([]byte(`{"ac":"[{\"Scope\":\"refs/heads/main\",\"Permission\":3}]","nbf":0,"exp":4102444800}`)) + "." + part([]byte("none"))
}

// Close stops the service and removes what it kept.
func (a *ActionsCache) Close() error {
	var err error
	if a.proc != nil {
		err = a.proc.stop(10 * time.Second)
	}
	return errors.Join(err, os.RemoveAll(a.Dir))
}

// ActionsCacheFor starts a cache of GitHub Actions for one test.
func ActionsCacheFor(tb testing.TB) *ActionsCache {
	tb.Helper()
	a, err := StartActionsCache(tb.Context())
	Require(tb, "registry", err)
	closeAtEnd(tb, a.Close)
	return a
}

// An S3 is a running S3 server: the Versity gateway in front of a folder.
type S3 struct {
	// URL is its endpoint; buckets are part of the path.
	URL string
	// Region, KeyID and Secret are what it asks for.
	Region, KeyID, Secret string
	// Dir has a folder for each bucket.
	Dir string

	proc *process
}

// StartS3 starts an S3 server with empty buckets of these names, and returns when it
// accepts connections. The folder for temporary files has to have extended attributes.
func StartS3(ctx context.Context, buckets ...string) (*S3, error) {
	bin, err := Tool(ctx, "versitygw")
	if err != nil {
		return nil, err
	}
	port, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "fnb-s3-")
	if err != nil {
		return nil, err
	}
	s := &S3{URL: "http://127.0.0.1:" + port, Region: "eu-west-1", KeyID: "key-of-the-test", Secret: "secret-of-the-test", Dir: dir}
	for _, b := range buckets {
		if err := os.Mkdir(filepath.Join(dir, b), 0o700); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	// The server outlives the call, not the program; Close stops it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), bin, "--port", "127.0.0.1:"+port, "--region", s.Region, "posix", dir)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.KeyID, "ROOT_SECRET_KEY="+s.Secret)
	if s.proc, err = startProcess("versitygw", cmd); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if _, err := s.proc.awaitLine(ctx, s3Listens, 30*time.Second); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close stops the server and removes what it kept.
func (s *S3) Close() error {
	var err error
	if s.proc != nil {
		err = s.proc.stop(10 * time.Second)
	}
	return errors.Join(err, os.RemoveAll(s.Dir))
}

// S3For starts an S3 server for one test.
func S3For(tb testing.TB, buckets ...string) *S3 {
	tb.Helper()
	s, err := StartS3(tb.Context(), buckets...)
	Require(tb, "registry", err)
	closeAtEnd(tb, s.Close)
	return s
}
