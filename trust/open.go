package trust

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxKeyFile bounds a file of keys.
const maxKeyFile = 1 << 20

// Options say where keys are. With the zero value there are those of files, of the agent that the
// environment names, and of programs; and no password can be asked for.
type Options struct {
	// Folder has the keys that are named by a word; [NewKey] writes them. "" means none.
	Folder string
	// Agent is the socket of the SSH agent; "" means $SSH_AUTH_SOCK.
	Agent string
	// Password is asked for the password of a key that is encrypted; nil means that nobody can be asked.
	Password func(ctx context.Context, key string) ([]byte, error)
}

// Forms says what a key may be named by, for help.
const Forms = "a private key's file, of OpenSSH, cosign or PEM; or an OpenSSH public key's file, whose private half the agent has. " +
	"It can also be agent:FINGERPRINT, agent:COMMENT, env:VARIABLE, exec:COMMAND or a name of \"fnb key list\""

// Open opens a key to sign with. [Forms] says how keys are named. A key that is
// encrypted asks for its password, and is a [*PasswordError] where that is wrong or nobody
// can be asked. A name that leads nowhere is a [*KeyError].
func Open(ctx context.Context, key string, o Options) (*Signer, error) {
	kind, rest, _ := strings.Cut(key, ":")
	switch kind {
	case "exec":
		return openProgram(ctx, rest)
	case "agent", "ssh-agent":
		return openAgent(ctx, key, rest, o)
	case "env":
		name := strings.TrimPrefix(rest, "//")
		text, ok := os.LookupEnv(name)
		if !ok || text == "" {
			return nil, &KeyError{Key: key, Missing: true, Why: "the variable " + name + " is not set"}
		}
		return openPrivate(ctx, key, []byte(text), o)
	}
	file, data, err := readKey(key, o, privateFile)
	if err != nil {
		return nil, err
	}
	pub, err := ParsePublicKey(data)
	if err != nil {
		return openPrivate(ctx, key, data, o)
	}
	s, err := openAgent(ctx, key, pub.Fingerprint(), o)
	if err == nil || !strings.HasSuffix(file, ".pub") {
		return s, err
	}
	if data, ferr := readFile(strings.TrimSuffix(file, ".pub")); ferr == nil {
		return openPrivate(ctx, key, data, o)
	}
	return nil, err
}

// OpenPublic reads the keys that signatures are checked against: a file of one or several public
// keys, PEM or OpenSSH's, or of allowed signers (ssh-keygen's ALLOWED SIGNERS); a public key itself; or
// whatever [Open] takes, of which only the public half is used.
func OpenPublic(ctx context.Context, key string, o Options) ([]TrustedKey, error) {
	kind, rest, _ := strings.Cut(key, ":")
	if slices.Contains([]string{"exec", "agent", "ssh-agent"}, kind) {
		s, err := Open(ctx, key, o)
		if err != nil {
			return nil, err
		}
		return []TrustedKey{{PublicKey: s.Key()}}, s.Close()
	}
	if pub, err := ParsePublicKey([]byte(key)); err == nil {
		return []TrustedKey{{PublicKey: pub}}, nil
	}
	var data []byte
	var file string
	if kind == "env" {
		data = []byte(os.Getenv(strings.TrimPrefix(rest, "//")))
	} else {
		var err error
		if file, data, err = readKey(key, o, publicFile); err != nil {
			return nil, err
		}
	}
	keys, err := ParseTrustedKeys(data)
	if err == nil {
		return keys, nil
	}
	if !isPrivate(data) {
		return nil, &KeyError{Key: key, Why: err.Error()}
	}
	// The public half stands beside it, or in it.
	if beside, ferr := readFile(file + ".pub"); file != "" && ferr == nil {
		if keys, err := ParseTrustedKeys(beside); err == nil {
			return keys, nil
		}
	}
	if pub, ok := publicInside(data); ok {
		return []TrustedKey{{PublicKey: pub}}, nil
	}
	s, err := openPrivate(ctx, key, data, o)
	if err != nil {
		return nil, err
	}
	return []TrustedKey{{PublicKey: s.Key()}}, s.Close()
}

// The endings of a named key's two halves.
const (
	privateFile = ".key"
	publicFile  = ".pub"
)

// readKey reads the file of a key, or the half of one that is named by a word.
func readKey(key string, o Options, half string) (file string, data []byte, err error) {
	data, err = readFile(key)
	if err == nil {
		return key, data, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", nil, &KeyError{Key: key, Why: "reading it", Err: bare(err)}
	}
	if o.Folder != "" && ValidName(key) {
		file = filepath.Join(o.Folder, key+half)
		if data, err = readFile(file); err == nil {
			return file, data, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, &KeyError{Key: key, Why: "reading " + file, Err: bare(err)}
		}
	}
	return "", nil, &KeyError{Key: key, Missing: true, Why: "there is no such file, and no key of that name"}
}

func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read from
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(data) > maxKeyFile {
		err = errors.New("it is larger than any file of keys")
	}
	return data, err
}

// bare is an error of a file without its path, which was said.
func bare(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
