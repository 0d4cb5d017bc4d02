package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/internal/servers/checkers"
	"fnb/sbom"
	"fnb/trust"
	"fnb/trust/attestation"
)

const sums = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  fnb_1.2.3_linux_amd64.tar.gz\n" +
	"d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f654dc7c9  install.sh\n"

// TestSign writes a provenance of what the checksums name, which the key's owner has said, and a signature of the
// checksums, as ssh-keygen verifies it.
func TestSign(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	servers.Require(t, "ssh", err)
	dir := t.TempDir()
	key := filepath.Join(t.TempDir(), "id")
	if out, err := exec.CommandContext(t.Context(), keygen, "-q", "-t", "ed25519", "-N", "secret", "-C", "release", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	fixture.Must(t, os.WriteFile(filepath.Join(dir, "checksums.txt"), []byte(sums), 0o600))
	t.Setenv("FNB_KEY_PASSWORD", "secret")
	fixture.Must(t, run(t.Context(), []string{"sign", "v1.2.3", "0a5981d7e488", dir, key}))

	trusted, err := trust.OpenPublic(t.Context(), key+".pub", trust.Options{})
	fixture.Must(t, err)
	blob, err := os.ReadFile(filepath.Join(dir, "fnb_1.2.3.provenance.sigstore.json"))
	fixture.Must(t, err)
	f, err := attestation.Read(attestation.MediaTypeBundle, blob)
	fixture.Must(t, err)
	if _, err := f.Verify(trusted, time.Now()); err != nil {
		t.Error(err)
	}
	if err := f.Says("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", attestation.PredicateProvenance); err != nil {
		t.Error(err)
	}
	if s := f.Statement; len(s.Subject) != 2 || s.Subject[1].Name != "install.sh" || !strings.Contains(string(s.Predicate), `"gitCommit":"0a5981d7e488"`) {
		t.Errorf("%s", blob)
	}
	allowed := filepath.Join(t.TempDir(), "allowed")
	fixture.Must(t, os.WriteFile(allowed, []byte("fnb "+trusted[0].String()+"\n"), 0o600))
	verify := func(text string) error {
		c := exec.CommandContext(t.Context(), keygen, "-Y", "verify", "-f", allowed, "-I", "fnb", "-n", "fnb-release", "-s", filepath.Join(dir, "checksums.txt.sig"))
		c.Stdin = strings.NewReader(text)
		return c.Run()
	}
	if err := verify(sums); err != nil {
		t.Error(err)
	}
	if verify(sums+"x") == nil {
		t.Error("other checksums are signed, too")
	}

	// The same again, and without a key.
	fixture.Must(t, run(t.Context(), []string{"sign", "v1.2.3", "0a5981d7e488", dir, key}))
	if again, err := os.ReadFile(filepath.Join(dir, "fnb_1.2.3.provenance.sigstore.json")); err != nil || string(again) != string(blob) {
		t.Errorf("the second provenance has other bytes (%v)", err)
	}
	fixture.Must(t, run(t.Context(), []string{"sign", "v1.2.3", "0a5981d7e488", dir}))
	plain, err := os.ReadFile(filepath.Join(dir, "fnb_1.2.3.provenance.json"))
	fixture.Must(t, err)
	if _, err := attestation.ParseStatement(plain); err != nil {
		t.Error(err)
	}
}

// TestBill lists the modules of a program.
func TestBill(t *testing.T) {
	self, err := os.Executable()
	fixture.Must(t, err)
	data, err := bill("v1.2.3", "1700000000", []string{"linux/amd64/fnb=" + self})
	fixture.Must(t, err)
	var head struct{ Name string }
	fixture.Must(t, json.Unmarshal(data, &head))
	d, err := sbom.Read(data)
	fixture.Must(t, err)
	if head.Name != "fnb" || d.Subject.Version != "v1.2.3" || d.Created.Unix() != 1700000000 {
		t.Errorf("%+v", d.Subject)
	}
	if len(d.Packages) == 0 || d.Packages[0].Ecosystem != sbom.Go || d.Packages[0].Where[0] != "linux/amd64/fnb" {
		t.Errorf("%+v", d.Packages)
	}
}

// TestBillIsValid gives the SBOM to the validators of SPDX.
func TestBillIsValid(t *testing.T) {
	python, program, err := checkers.BillsOfMaterials()
	servers.Require(t, "sbom", err)
	self, err := os.Executable()
	fixture.Must(t, err)
	data, err := bill("v1.2.3", "1700000000", []string{"linux/amd64/fnb=" + self})
	fixture.Must(t, err)
	cmd := exec.CommandContext(t.Context(), python, program, "spdx")
	cmd.Stdin = bytes.NewReader(data)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestRefusals gives it what is none.
func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"empty": "", "text": "hello\n"} {
		fixture.Must(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
		fixture.Must(t, os.WriteFile(filepath.Join(dir, name, "checksums.txt"), []byte(text), 0o600))
	}
	for want, args := range map[string]string{
		"usage: ":                 "sign v1",
		"no such file":            "sign v1 c " + dir,
		"has no checksum":         "sign v1 c " + dir + "/empty",
		"which is not a checksum": "sign v1 c " + dir + "/text",
		"not a number":            "bill v1 now fnb=x",
		"a program is NAME=FILE":  "bill v1 1 fnb",
		"reading what ":           "bill v1 1 fnb=" + dir + "/text/checksums.txt",
	} {
		if err := run(t.Context(), strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}
