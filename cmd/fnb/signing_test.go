package main

import (
	"context"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"

	"fnb/internal/servers"
	"fnb/internal/servers/checkers"
	"fnb/internal/servers/tried"
)

// hasSigning is the condition "sign": cosign and oras are there. If they are required and are not, it is an error.
func hasSigning() (bool, error) {
	_, err := checkers.Signing()
	if err != nil && servers.Required("sign") {
		return false, err
	}
	return err == nil, nil
}

// cmdSigning: signing puts cosign, oras and crane into PATH; signing tried notes with which versions the script has passed.
func cmdSigning(ts *testscript.TestScript, neg bool, args []string) {
	dir, err := checkers.Signing()
	ts.Check(err)
	switch {
	case !neg && len(args) == 0:
		ts.Setenv("PATH", ts.Getenv("PATH")+string(os.PathListSeparator)+dir)
	case !neg && args[0] == "tried":
		for _, program := range []string{"cosign", "oras"} {
			out, err := exec.Command(filepath.Join(dir, program), "version").Output()
			ts.Check(err)
			ts.Check(tried.Record(context.Background(), program, versionIn.FindString(string(out)), ts.Name()+".txtar"))
		}
	default:
		ts.Fatalf("usage: signing [tried]")
	}
}

var versionIn = regexp.MustCompile(`\d+\.\d+\.\d+`)

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
