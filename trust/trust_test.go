package trust_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/agent"

	"fnb/internal/servers"
	"fnb/trust"
)

// need returns the path of a program, or skips the test; FNB_REQUIRE names its package.
func need(t *testing.T, program, name string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	servers.Require(t, name, err)
	return path
}

func run(t *testing.T, in, program string, args ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, args...)
	c.Stdin = strings.NewReader(in)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}

func password(p string) func(context.Context, string) ([]byte, error) {
	return func(context.Context, string) ([]byte, error) { return []byte(p), nil }
}

// TestKinds signs with a key of every kind, and has ssh-keygen and openssl verify it.
func TestKinds(t *testing.T) {
	keygen, openssl := need(t, "ssh-keygen", "ssh"), need(t, "openssl", "openssl")
	dir := t.TempDir()
	generate := func(name string, args ...string) string {
		file := filepath.Join(dir, name)
		run(t, "", keygen, append([]string{"-q", "-C", name, "-f", file}, args...)...)
		return file
	}
	pem := func(name string, args ...string) string {
		file := filepath.Join(dir, name)
		run(t, "", openssl, append(args, "-out", file)...)
		return file
	}
	program := filepath.Join(dir, "kms")
	script := `#!/bin/sh
case $1 in
public) openssl pkey -in ` + dir + `/p256.pem -pubout ;;
sign) [ "$FNB_KEY_ALGORITHM" = ecdsa-sha256 ] || { echo "cannot do $FNB_KEY_ALGORITHM" >&2; exit 1; }
      openssl pkeyutl -sign -inkey ` + dir + `/p256.pem | base64 ;;
esac
`
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	if _, err := trust.NewKey(dir, "own", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{
		"ssh ed25519": generate("ed", "-t", "ed25519", "-N", ""), "ssh with a password": generate("locked", "-t", "ed25519", "-N", "secret"),
		"ssh ecdsa": generate("ec", "-t", "ecdsa", "-b", "384", "-N", ""), "ssh rsa": generate("rsa", "-t", "rsa", "-b", "2048", "-N", ""),
		"PEM p256": pem("p256.pem", "ecparam", "-genkey", "-noout", "-name", "prime256v1"), "PEM ed25519": pem("ed.pem", "genpkey", "-algorithm", "ed25519"),
		"PEM p521": pem("p521.pem", "ecparam", "-genkey", "-noout", "-name", "secp521r1"), "named": "own", "program": "exec:" + program,
	}
	for name, key := range kinds {
		t.Run(name, func(t *testing.T) {
			o := trust.Options{Folder: dir, Password: password("secret")}
			s, err := trust.Open(t.Context(), key, o)
			if err != nil {
				t.Fatal(err)
			}
			message := []byte("what is signed")
			made, err := s.SignSSH(t.Context(), trust.NamespaceRecord, message)
			if err != nil {
				t.Fatal(err)
			}
			work := t.TempDir()
			sig, allowed := filepath.Join(work, "sig"), filepath.Join(work, "allowed")
			write(t, sig, made)
			write(t, allowed, []byte("me@example.com namespaces=\"fnb-record\" "+s.Key().String()+"\n"))
			run(t, string(message), keygen, "-Y", "verify", "-f", allowed, "-I", "me@example.com", "-n", trust.NamespaceRecord, "-s", sig)
			if by, err := trust.VerifySSH(trust.NamespaceRecord, message, made); err != nil || !by.Equal(s.Key()) {
				t.Errorf("fnb says %v of its own signature, by %v", err, by)
			}
			for what, err := range map[string]error{
				"of another content":   second(trust.VerifySSH(trust.NamespaceRecord, []byte("what is not"), made)),
				"of another namespace": second(trust.VerifySSH(trust.NamespaceImage, message, made)),
			} {
				if _, ok := errors.AsType[*trust.SignatureError](err); !ok {
					t.Errorf("%s: %v", what, err)
				}
			}
			bare, err := s.Sign(t.Context(), message)
			if err != nil {
				t.Fatal(err)
			}
			if s.Repeats() {
				if again, err := s.Sign(t.Context(), message); err != nil || !bytes.Equal(bare, again) {
					t.Errorf("the same message got another signature (%v)", err)
				}
			}
			pub, err := s.Key().PEM()
			if err != nil {
				t.Fatal(err)
			}
			pubFile, bareFile, messageFile := filepath.Join(work, "pub"), filepath.Join(work, "bare"), filepath.Join(work, "message")
			write(t, pubFile, pub)
			write(t, bareFile, bare)
			write(t, messageFile, message)
			switch s.Key().Type() {
			case "ssh-ed25519":
				run(t, "", openssl, "pkeyutl", "-verify", "-pubin", "-inkey", pubFile, "-rawin", "-in", messageFile, "-sigfile", bareFile)
			default:
				hash := map[string]string{"ecdsa-sha2-nistp384": "-sha384", "ecdsa-sha2-nistp521": "-sha512"}[s.Key().Type()]
				if hash == "" {
					hash = "-sha256"
				}
				run(t, "", openssl, "dgst", hash, "-verify", pubFile, "-signature", bareFile, messageFile)
			}
			for _, form := range []string{pubFile, s.Key().String(), allowed, key} {
				trusted, err := trust.OpenPublic(t.Context(), form, o)
				if err != nil || len(trusted) != 1 || !trusted[0].Equal(s.Key()) {
					t.Errorf("read from %s: %v %v", form, trusted, err)
				}
			}
		})
	}
}

// TestPrehashed verifies a signature of the hash with Ed25519, as cosign makes it.
func TestPrehashed(t *testing.T) {
	t.Parallel()
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := trust.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("what is signed")
	sum := sha512.Sum512(message)
	made, err := private.Sign(nil, sum[:], &ed25519.Options{Hash: crypto.SHA512})
	if err != nil {
		t.Fatal(err)
	}
	if err := key.Verify(message, made); err != nil {
		t.Error(err)
	}
	if key.Verify([]byte("what is not"), made) == nil || key.Verify(sum[:], made) == nil {
		t.Error("something else is signed, too")
	}
}

func second(_ trust.PublicKey, err error) error { return err }

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestAgent signs with OpenSSH's agent, and asks ones that refuse, and that are not there.
func TestAgent(t *testing.T) {
	keygen, program := need(t, "ssh-keygen", "ssh"), need(t, "ssh-agent", "ssh")
	dir, err := os.MkdirTemp("", "fnb-agent-") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file, socket := filepath.Join(dir, "key"), filepath.Join(dir, "socket")
	run(t, "", keygen, "-q", "-t", "rsa", "-b", "2048", "-N", "", "-C", "me@here", "-f", file)
	c := exec.CommandContext(t.Context(), program, "-D", "-a", socket)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	waitForSocket(t, socket)
	t.Setenv("SSH_AUTH_SOCK", socket)
	run(t, "", "ssh-add", "-q", file)
	if err := os.Remove(file); err != nil { // so that the agent alone has it
		t.Fatal(err)
	}
	for _, key := range []string{"agent:", "agent:me@here", file + ".pub"} {
		s, err := trust.Open(t.Context(), key, trust.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.SignSSH(t.Context(), trust.NamespaceImage, []byte("x")); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		if _, err := s.Sign(t.Context(), []byte("x")); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	wantAgent := func(err error, refused bool, words string) {
		t.Helper()
		e, ok := errors.AsType[*trust.AgentError](err)
		if !ok || e.Refused != refused || !strings.Contains(err.Error(), words) {
			t.Errorf("got %v, want an agent's error with %q", err, words)
		}
	}
	_, err = trust.Open(t.Context(), "agent:SHA256:none", trust.Options{})
	wantAgent(err, false, "has no such key among its 1")
	_, err = trust.Open(t.Context(), "agent:", trust.Options{Agent: filepath.Join(dir, "nobody")})
	wantAgent(err, false, "does not answer")
	s, err := trust.Open(t.Context(), "agent:", trust.Options{Agent: refusing(t, dir)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Sign(t.Context(), []byte("x"))
	wantAgent(err, true, "refuses to sign")
	t.Setenv("SSH_AUTH_SOCK", "")
	_, err = trust.Open(t.Context(), "agent:", trust.Options{})
	wantAgent(err, false, "SSH_AUTH_SOCK is not set")
}

func waitForSocket(t *testing.T, socket string) {
	t.Helper()
	for range 500 {
		if c, err := net.Dial("unix", socket); err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the agent does not answer")
}

// refusing is the socket of an agent that is asked whether it may sign, and may not.
func refusing(t *testing.T, dir string) string {
	t.Helper()
	ring := agent.NewKeyring()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "refusing")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(refuser{ring}, c) }()
		}
	}()
	return socket
}

// TestRefusals opens what is no key to sign with.
func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	if _, err := trust.NewKey(dir, "own", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	if _, err := trust.NewKey(dir, "own", nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second key of the name: %v", err)
	}
	write(t, filepath.Join(dir, "text"), []byte("hello\n"))
	write(t, filepath.Join(dir, "openssl.pem"), []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"))
	write(t, filepath.Join(dir, "large"), make([]byte, 2<<20))
	for key, want := range map[string]string{
		"own":                                "the key own is encrypted, and there is no password for it",
		"nobody":                             "the key nobody: there is no such file, and no key of that name",
		filepath.Join(dir, "text"):           "it is not a key",
		filepath.Join(dir, "openssl.pem"):    "encrypted in openssl's way",
		filepath.Join(dir, "large"):          "larger than any file of keys",
		"env:FNB_TEST_NO_SUCH_KEY":           "the variable FNB_TEST_NO_SUCH_KEY is not set",
		"exec:":                              "it names no command",
		"exec:/nowhere/to/be/found":          "asking it to public: fork/exec /nowhere/to/be/found: no such file or directory",
		"exec:sh -c 'echo no >&2; exit 3' x": "exit status 3: no",
	} {
		_, err := trust.Open(t.Context(), key, trust.Options{Folder: dir})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", key, err, want)
		}
	}
	_, err := trust.Open(t.Context(), "own", trust.Options{Folder: dir, Password: password("guess")})
	if e, ok := errors.AsType[*trust.PasswordError](err); !ok || !e.Wrong {
		t.Errorf("with a wrong password: %v", err)
	}
	if keys, err := trust.Keys(dir); err != nil || len(keys) != 1 || keys[0].Name != "own" || !keys[0].Private {
		t.Errorf("the folder has %v, %v", keys, err)
	}
}

// TestTrustedKeys reads a file of allowed signers, whose keys have namespaces and times.
func TestTrustedKeys(t *testing.T) {
	point, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := trust.NewPublicKey(point)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := trust.ParseTrustedKeys([]byte("# ours\n\na@b,c@d namespaces=\"fnb-image,git\",valid-after=\"20260101Z\",valid-before=\"20270101Z\" " + pub.String() + " x\n" + pub.String() + "\n"))
	if err != nil || len(keys) != 2 {
		t.Fatalf("%v, %v", keys, err)
	}
	k, in := keys[0], time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	if err := k.Check(trust.NamespaceImage, in); err != nil {
		t.Error(err)
	}
	for words, err := range map[string]error{
		"has expired": k.Check(trust.NamespaceImage, in.AddDate(1, 0, 0)), "is not valid yet": k.Check(trust.NamespaceImage, in.AddDate(-1, 0, 0)),
		"not for fnb-record": k.Check(trust.NamespaceRecord, in),
	} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v, want %s", err, words)
		}
	}
	for _, bad := range []string{"", "hello", "me cert-authority " + pub.String(), "me valid-after=\"soon\" " + pub.String(), strings.Repeat(pub.String()+"\n", 1001)} {
		if keys, err := trust.ParseTrustedKeys([]byte(bad)); err == nil {
			t.Errorf("%.40q is %v", bad, keys)
		}
	}
}
