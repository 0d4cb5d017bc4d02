package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"fnb/trust"
)

// The variables that have the password of a key, fnb's before cosign's.
const (
	passwordVariable       = "FNB_KEY_PASSWORD" //nolint:gosec // its name
	cosignPasswordVariable = "COSIGN_PASSWORD"  //nolint:gosec // its name
)

// keyFlags say where the password of a key comes from.
type keyFlags struct{ stdin bool }

func (o *keyFlags) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.stdin, "key-password-stdin", false, "read the key's password from standard input")
}

// keysDir is the folder of the keys that "fnb key new" makes.
func keysDir() (string, error) {
	dir, err := dataDir()
	return filepath.Join(dir, "keys"), err
}

// keyOptions say where keys are, and who knows their passwords.
func (g *globals) keyOptions(o keyFlags) (trust.Options, error) {
	dir, err := keysDir()
	if err != nil {
		return trust.Options{}, err
	}
	opts := trust.Options{Folder: dir}
	text, given := os.LookupEnv(passwordVariable)
	if !given {
		text, given = os.LookupEnv(cosignPasswordVariable)
	}
	switch {
	case o.stdin:
		read := sync.OnceValues(g.passwordLine) // which every key has in common
		opts.Password = func(context.Context, string) ([]byte, error) { return read() }
	case given:
		opts.Password = func(context.Context, string) ([]byte, error) { return []byte(text), nil }
	case term.IsTerminal(int(g.in.Fd())):
		opts.Password = func(_ context.Context, key string) ([]byte, error) {
			return g.askPassword("password for the key " + key)
		}
	}
	return opts, nil
}

// openKey opens the key that is to sign.
func (g *globals) openKey(ctx context.Context, key string, o keyFlags) (*trust.Signer, error) {
	opts, err := g.keyOptions(o)
	if err != nil {
		return nil, err
	}
	return trust.Open(ctx, key, opts)
}

// passwordLine reads the first line of standard input; it may be empty.
func (g *globals) passwordLine() ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(g.in, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("reading the password: %w", err)
	}
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), nil
}

// askPassword asks at the terminal.
func (g *globals) askPassword(what string) ([]byte, error) {
	fmt.Fprintf(g.err, "%s: ", what)
	raw, err := term.ReadPassword(int(g.in.Fd()))
	fmt.Fprintln(g.err)
	if err != nil {
		return nil, fmt.Errorf("reading the password: %w", err)
	}
	return raw, nil
}

// newPassword is the password that a new key gets. It is asked for twice.
func (g *globals) newPassword(o keyFlags, name string) ([]byte, error) {
	if opts, err := g.keyOptions(o); err != nil || opts.Password == nil {
		return nil, errors.Join(err, hint(usagef("fnb key new", "there is no terminal to ask for the password of the key %s", name),
			"give the password by standard input: fnb key new "+name+" --key-password-stdin"))
	} else if _, given := os.LookupEnv(passwordVariable); given || o.stdin || os.Getenv(cosignPasswordVariable) != "" {
		return opts.Password(context.Background(), name)
	}
	first, err := g.askPassword("password for the new key " + name + ", empty for none")
	if err != nil {
		return nil, err
	}
	again, err := g.askPassword("the same again")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, again) {
		return nil, errors.New("the two passwords differ")
	}
	return first, nil
}
