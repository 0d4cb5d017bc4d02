package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fnb/schema/ownership"
	"fnb/trust"
)

// keyOfSettings opens the key that the settings name, to sign owners.
func (g *globals) keyOfSettings(ctx context.Context, o *ownersOptions) error {
	s, err := g.signing("")
	if err != nil || s.Open == nil {
		return errors.Join(err, usageIf(err == nil, "fnb store owners", "--key is missing: owners are signed"))
	}
	k, err := s.Open(ctx)
	o.Keys = append(o.Keys, k)
	return err
}

// usageIf is a mistake in the use of a command, if it is one.
func usageIf(is bool, command, text string) error {
	if !is {
		return nil
	}
	return usagef(command, "%s", text)
}

// addedKeys reads the keys that are added.
func (g *globals) addedKeys(cmd *cobra.Command, o *ownersOptions) error {
	k := ownership.Key{Roles: o.roles}
	if len(k.Roles) == 0 {
		k.Roles = ownership.Roles()
	}
	if o.until != "" {
		last, err := time.Parse(time.DateOnly, o.until)
		if err != nil {
			return usagef(cmd.CommandPath(), "--until %q is not a day such as 2027-12-31", o.until)
		}
		last = last.AddDate(0, 0, 1).Add(-time.Second)
		k.Until = &last
	}
	where, err := g.keyOptions(keyFlags{})
	if err != nil {
		return err
	}
	for _, arg := range o.add {
		if strings.HasPrefix(arg, "oidc:") {
			return usagef(cmd.CommandPath(), "--add %s: fnb cannot check signatures of OIDC subjects yet: add a key", arg)
		}
		who, key, named := strings.Cut(arg, "=")
		if !named || strings.ContainsAny(who, " /") {
			who, key = "", arg
		}
		found, err := trust.OpenPublic(cmd.Context(), key, where)
		if err != nil {
			return err
		}
		for _, public := range found {
			k.Name, k.Key = who, public.String()
			if k.Name == "" {
				k.Name = public.Comment()
			}
			if k.Name == "" {
				return usagef(cmd.CommandPath(), "--add %s: say whose key it is: --add WHO=%s", arg, arg)
			}
			o.Add = append(o.Add, k)
		}
	}
	return nil
}
