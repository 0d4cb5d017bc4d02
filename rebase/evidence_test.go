package rebase_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"fnb/internal/servers"
	"fnb/pipeline/attest"
	"fnb/pipeline/provenance"
	"fnb/rebase"
	"fnb/registry/whole"
	"fnb/sbom"
	"fnb/schema/rebaseplan"
	"fnb/trust"
	"fnb/trust/attestation"
	"fnb/trust/evidence"
)

// evident is an applier that attaches what is said of images.
func (f *fleet) evident(t *testing.T, wants attest.Wants) *rebase.Applier {
	t.Helper()
	a := f.applier(t)
	a.Evidence = rebase.Evidence{Attester: &attest.Attester{Wants: wants, Registry: a.Registry}, Version: "1"}
	return a
}

func all() attest.Wants { return attest.Wants{SBOM: true, Provenance: provenance.Min} }

func signer(t *testing.T) *trust.Signer {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file).CombinedOutput(); err != nil {
		t.Skipf("no ssh-keygen: %v: %s", err, out)
	}
	s, err := trust.Open(t.Context(), file, trust.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// What somebody without a key says of an image gets no signature.
func TestForeignSBOM(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	ref := f.Images[0]
	w, err := whole.Read(t.Context(), f.client, ref)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range w.Parts {
		lie := sbom.Document{Subject: sbom.Subject{Name: "x", Digest: p.Descriptor.Digest.String()}, Packages: []sbom.Package{{Name: "invented", PURL: "pkg:npm/invented@1"}}}
		raw, err := lie.SPDX()
		if err != nil {
			t.Fatal(err)
		}
		s, err := attestation.New(attestation.PredicateSPDX, rawJSON(raw), attestation.Image(p.Descriptor.Digest.String()))
		if err == nil {
			err = f.Attach(t.Context(), ref, p.Descriptor, s)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	a := f.evident(t, all())
	key := signer(t)
	a.Evidence.Signer = key
	f.apply(t, a, rebase.Summary{Done: 2})
	keys := []trust.TrustedKey{{PublicKey: key.Key()}}
	for _, ref := range f.Images {
		w, err := whole.Read(t.Context(), f.client, ref)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []evidence.Want{evidence.Signature(), evidence.Provenance()} {
			if _, err := evidence.Verify(t.Context(), f.client, ref, w.Descriptor.Digest.String(), keys, want, time.Now()); err != nil {
				t.Error(err)
			}
		}
		for _, p := range w.Parts {
			proof, err := evidence.Verify(t.Context(), f.client, ref, p.Descriptor.Digest.String(), keys, evidence.SBOM(), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			text := string(proof.Statement.Predicate)
			for what, must := range map[string]bool{"invented": false, "3.0.14": false, "3.0.15": true, "pkg:pypi/flask@3.1": true} {
				if strings.Contains(text, what) != must {
					t.Errorf("%s: %s: %s", ref, what, text)
				}
			}
		}
	}
}

type rawJSON []byte

func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

// What was proven of an image is where the next rebase looks for it.
func TestInputsGoOn(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	a := f.evident(t, all())
	a.Smoke = func(context.Context, *rebaseplan.Image, string) error { return nil }
	a.Rebuild = func(_ context.Context, i *rebaseplan.Image) (string, error) { return i.Becomes, nil }
	f.apply(t, a, rebase.Summary{Done: 2})
	if err := f.Patch(t.Context(), "3.0.16"); err != nil {
		t.Fatal(err)
	}
	p := &rebase.Planner{Registry: newClient(t), Bases: []string{f.Base}, Version: "1"}
	plan, err := p.Plan(t.Context(), f.subjects)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range plan.Images {
		want := f.Inputs[i.Name()]
		want[0].Value = i.Base.To
		if i.Action != rebaseplan.Rebase || i.Inputs != want.Digest() {
			t.Errorf("%+v", i)
		}
	}
}

// A registry that takes nothing beside images is a note, and an error if it was asked for: then no tag is moved.
func TestNothingIsTaken(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	heal := f.reg.Fail(servers.Fault{Method: "PUT", Path: regexp.MustCompile(`/manifests/sha256-`), Status: 403})
	demanded := all()
	demanded.Demanded = true
	a := f.evident(t, demanded)
	a.MaxFailures = 9
	f.apply(t, a, rebase.Summary{Failed: 1, Left: 1})
	for ref, was := range f.before {
		if is := f.digest(t, ref); is != was {
			t.Errorf("%s is %s", ref, is)
		}
	}
	a = f.evident(t, all())
	notes := 0
	a.Each = func(o rebase.Outcome) { notes += len(o.Notes) }
	f.apply(t, a, rebase.Summary{Done: 2})
	if notes != 1 {
		t.Errorf("%d notes", notes)
	}
	heal()
}
