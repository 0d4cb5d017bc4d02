package main

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"

	"fnb/internal/servers"
	"fnb/internal/servers/checkers"
)

// hasSigning is the condition "sign": cosign and oras are there. If they are required and are not, it is an error.
func hasSigning() (bool, error) {
	_, err := checkers.Signing()
	if err != nil && servers.Required("sign") {
		return false, err
	}
	return err == nil, nil
}

// cmdSigning: signing puts cosign, oras and crane into PATH.
func cmdSigning(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: signing")
	}
	dir, err := checkers.Signing()
	ts.Check(err)
	ts.Setenv("PATH", ts.Getenv("PATH")+string(os.PathListSeparator)+dir)
}

// hasOracles is the condition "oracles": osv-scanner and syft are there. If they are required and are not, it is an error.
func hasOracles() (bool, error) {
	_, _, err := checkers.Oracles()
	if err != nil && servers.Required("oracles") {
		return false, err
	}
	return err == nil, nil
}

// cmdOracles: oracles puts osv-scanner into PATH.
func cmdOracles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: oracles")
	}
	scanner, _, err := checkers.Oracles()
	ts.Check(err)
	ts.Setenv("PATH", ts.Getenv("PATH")+string(os.PathListSeparator)+filepath.Dir(scanner))
}

// cmdReferrers: referrers VAR starts a registry that has the referrers API, go-containerregistry's.
func cmdReferrers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: referrers VAR")
	}
	s := httptest.NewServer(ggcr.New(ggcr.WithReferrersSupport(true), ggcr.Logger(log.New(io.Discard, "", 0))))
	ts.Defer(s.Close)
	ts.Setenv(args[0], strings.TrimPrefix(s.URL, "http://"))
}
