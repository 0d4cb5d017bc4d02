package trust

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/kballard/go-shellquote"
	"golang.org/x/crypto/ssh"

	"fnb/internal/plain"
)

// What programs that sign are told and may answer.
const (
	algorithmVariable = "FNB_KEY_ALGORITHM" // ecdsa-sha256, ecdsa-sha384, ecdsa-sha512, rsa-sha256, rsa-sha512 or ed25519
	maxAnswer         = 64 << 10
	maxComplaint      = 4 << 10
	programWait       = 5 * time.Second // after it was told to end
)

// A programKey is a key that a program signs with: of a KMS, a token or a vault.
//
// "COMMAND public" prints the public key, PEM or OpenSSH's. "COMMAND sign" gets on its standard
// input the digest, as bytes, and prints the signature, as bytes or in base64: ECDSA's in ASN.1,
// RSA's of PKCS #1 v1.5. Ed25519 signs no digest, so there it gets what is to be signed.
type programKey struct {
	command string
	words   []string
}

func openProgram(ctx context.Context, command string) (*Signer, error) {
	words, err := shellquote.Split(command)
	if err != nil || len(words) == 0 {
		return nil, &KeyError{Key: "exec:" + command, Why: "it names no command"}
	}
	p := &programKey{command: command, words: words}
	out, err := p.run(ctx, "public", "", nil)
	if err != nil {
		return nil, err
	}
	key, err := ParsePublicKey(out)
	if err != nil {
		return nil, &ProgramError{Command: command, Doing: "public", Err: err}
	}
	return &Signer{key: key, how: p}, nil
}

// Close has nothing to do: a program runs for one signature.
func (p *programKey) Close() error { return nil }

func (p *programKey) sign(ctx context.Context, data []byte, algorithm string) (*ssh.Signature, error) {
	word, in := "ed25519", data
	if h := hashOf(algorithm); h != 0 {
		in = digest(h, data)
		kind := "ecdsa-"
		if strings.HasPrefix(algorithm, "rsa") {
			kind = "rsa-"
		}
		word = kind + strings.ToLower(strings.ReplaceAll(h.String(), "-", ""))
	}
	out, err := p.run(ctx, "sign", word, in)
	if err != nil {
		return nil, err
	}
	made, err := fromBare(algorithm, unwrap(out))
	if err != nil {
		return nil, &ProgramError{Command: p.command, Doing: "sign", Err: err}
	}
	return made, nil
}

// unwrap takes a signature out of base64, where it is in it. Vault puts its name and a version before that.
func unwrap(out []byte) []byte {
	text := strings.Join(strings.Fields(string(out)), "")
	if i := strings.LastIndexByte(text, ':'); i >= 0 && strings.HasPrefix(text, "vault:") {
		text = text[i+1:]
	}
	if raw, err := base64.StdEncoding.DecodeString(text); err == nil && len(raw) > 0 {
		return raw
	}
	return out
}

func (p *programKey) run(ctx context.Context, verb, algorithm string, in []byte) ([]byte, error) {
	c := exec.CommandContext(ctx, p.words[0], append(append([]string{}, p.words[1:]...), verb)...) //nolint:gosec // the user named it
	c.WaitDelay = programWait
	c.Stdin = bytes.NewReader(in)
	c.Env = append(os.Environ(), algorithmVariable+"="+algorithm)
	out, complaint := &bounded{most: maxAnswer}, &bounded{most: maxComplaint}
	c.Stdout, c.Stderr = out, complaint
	err := c.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err == nil && out.over {
		err = errors.New("its answer has no end")
	}
	if err != nil {
		return nil, &ProgramError{Command: p.command, Doing: verb, Said: plain.Short(strings.TrimSpace(complaint.String())), Err: err}
	}
	return out.Bytes(), nil
}

// A bounded buffer keeps so much, and lets the rest go.
type bounded struct {
	bytes.Buffer
	most int
	over bool
}

// Write takes what there is room for.
func (b *bounded) Write(p []byte) (int, error) {
	room := max(b.most-b.Len(), 0)
	b.over = b.over || len(p) > room
	_, _ = b.Buffer.Write(p[:min(len(p), room)]) // a buffer takes all
	return len(p), nil
}
