package main

import (
	"context"

	"github.com/spf13/pflag"

	"fnb/pipeline"
)

// signFlags say whether what is pushed is signed.
type signFlags struct {
	key      string
	password keyFlags
}

func (o *signFlags) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.key, "sign", "", "with --push, sign what is pushed with `KEY`, as fnb sign does")
	o.password.addFlags(f)
}

func (o *signFlags) fill(s *pipeline.Settings, bad *complaints) {
	if o.key != "" && s.Destination.Kind != pipeline.ToRegistry {
		bad.add("--sign signs what is at a registry: add --push")
	}
}

// signWith opens the key that signs what is pushed, before anything is built. What it returns lets go
// of it.
func (g *globals) signWith(ctx context.Context, want *wanted, o signFlags) (unsign func(), err error) {
	if o.key == "" {
		return func() {}, nil
	}
	s, err := g.openKey(ctx, o.key, o.password)
	if err != nil {
		return nil, err
	}
	want.signer = s
	return func() { _ = s.Close() }, nil // it has signed
}
