package main

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
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

// hasScanners is the condition "scanners": osv-scanner and grype are there. If they are required and are not, it is an error.
func hasScanners() (bool, error) {
	_, err := checkers.Scanners()
	if err != nil && servers.Required("scanners") {
		return false, err
	}
	return err == nil, nil
}

// cmdScanners: scanners puts osv-scanner, grype and what makes a database for grype into PATH.
func cmdScanners(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: scanners")
	}
	dir, err := checkers.Scanners()
	ts.Check(err)
	ts.Setenv("PATH", ts.Getenv("PATH")+string(os.PathListSeparator)+dir)
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
