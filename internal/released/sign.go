package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"fnb/trust"
	"fnb/trust/attestation"
)

// What the provenance of a release calls itself, and who made it; they name a format, and lead nowhere.
const (
	buildType = "urn:fnb:release:1"
	builderID = "urn:fnb:make-release"
)

// A release is one whose files are made.
type release struct {
	version string // such as v1.2.3
	commit  string // of the checkout
	page    string // the folder of the release page
	key     string // "" signs nothing
}

// checksums is the file that has the checksums of all others.
const checksums = "checksums.txt"

// sign writes the provenance, and with a key the signature of the checksums.
func (r *release) sign(ctx context.Context) error {
	sums, err := os.ReadFile(filepath.Join(r.page, checksums))
	if err != nil {
		return err
	}
	st, err := r.provenance(sums)
	if err != nil {
		return err
	}
	name := "fnb_" + strings.TrimPrefix(r.version, "v") + ".provenance"
	if r.key == "" {
		a, err := attestation.Unsigned(st)
		if err != nil {
			return err
		}
		return r.write(name+".json", a.Blob)
	}
	signer, err := trust.Open(ctx, r.key, trust.Options{Password: password})
	if err != nil {
		return err
	}
	a, err := attestation.Sign(ctx, signer, st)
	var signature []byte
	if err == nil {
		signature, err = signer.SignSSH(ctx, trust.NamespaceRelease, sums)
	}
	if err := errors.Join(err, signer.Close()); err != nil {
		return err
	}
	return errors.Join(r.write(name+".sigstore.json", a.Blob), r.write(checksums+".sig", signature))
}

// password is that of the key: nobody is asked while a release is made.
func password(context.Context, string) ([]byte, error) {
	return []byte(os.Getenv("FNB_KEY_PASSWORD")), nil
}

func (r *release) write(name string, data []byte) error {
	return os.WriteFile(filepath.Join(r.page, name), data, 0o644) //nolint:gosec // everybody may read it
}

// The predicate of SLSA's provenance, version 1, of a release.
type (
	slsa struct {
		BuildDefinition definition `json:"buildDefinition"`
		RunDetails      details    `json:"runDetails"`
	}
	definition struct {
		BuildType            string                 `json:"buildType"`
		ExternalParameters   map[string]string      `json:"externalParameters"`
		ResolvedDependencies []attestation.Resource `json:"resolvedDependencies"`
	}
	details struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
	}
)

// provenance says of what commit the files are that the checksums name. Nothing in it differs from one time to the next.
func (r *release) provenance(sums []byte) (*attestation.Statement, error) {
	var about []attestation.Resource
	for line := range bytes.Lines(sums) {
		sum, name, ok := strings.Cut(strings.TrimSpace(string(line)), "  ")
		if !ok || len(sum) != 64 {
			return nil, fmt.Errorf("%s has the line %q, which is not a checksum", checksums, line)
		}
		about = append(about, attestation.Resource{Name: name, Digest: map[string]string{"sha256": sum}})
	}
	if len(about) == 0 {
		return nil, fmt.Errorf("%s has no checksum", checksums)
	}
	p := slsa{BuildDefinition: definition{
		BuildType: buildType, ExternalParameters: map[string]string{"version": r.version},
		ResolvedDependencies: []attestation.Resource{{Name: "source", Digest: map[string]string{"gitCommit": r.commit}}},
	}}
	p.RunDetails.Builder.ID = builderID
	return attestation.New(attestation.PredicateProvenance, p, about...)
}
