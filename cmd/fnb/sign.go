package main

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/trust"
	"fnb/trust/evidence"
)

func newSign(g *globals) *cobra.Command {
	var o keyFlags
	var key string
	var insecure []string
	cmd := &cobra.Command{
		Use:   "sign REF…",
		Short: "sign images in their registries",
		Long: `Sign signs images with a key, and attaches the signatures to them in their registries. The image and its digest stay what they are. An image that the key has signed already is left alone. For each image a line is printed: its reference and digest.

KEY is ` + trust.Forms + `.

A signature is a sigstore bundle, the format that cosign 3 writes, attached to the image. A program after exec: gets the word public or sign as its last argument. Asked for public it prints its public key. Asked to sign it gets a digest on its standard input, as bytes, and prints the signature, as bytes or in base64; FNB_KEY_ALGORITHM says which, such as ecdsa-sha256.

The password of a key that is encrypted is asked for. Without a terminal it is that of FNB_KEY_PASSWORD, or of COSIGN_PASSWORD.`,
		Example: "  # with an SSH key, as people have one\n  fnb sign ghcr.io/acme/hello:1.2.0 --key ~/.ssh/id_ed25519\n\n  # with a key of a KMS\n  fnb sign ghcr.io/acme/hello:1.2.0 --key 'exec:./kms.sh alias/release'",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef(cmd.CommandPath(), "it takes the images to sign: fnb sign REF… --key KEY")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if key == "" {
				return hint(usagef("fnb sign", "--key is missing: it says which key signs"), "sign with an SSH key: fnb sign "+plain.ShellWord(args[0])+" --key ~/.ssh/id_ed25519", "or make a key: fnb key new NAME")
			}
			if g.offline {
				return usagef("fnb sign", "--offline uses no network, and the images are in registries")
			}
			return g.runSign(cmd.Context(), args, key, o, insecure)
		},
	}
	f := cmd.Flags()
	f.StringVar(&key, "key", "", "sign with `KEY`")
	o.addFlags(f)
	addInsecureFlag(f, &insecure)
	return cmd
}

// A signed is an image that was signed.
type signed struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
	Key       string `json:"key"`
	Unchanged bool   `json:"unchanged"` // it was signed before
}

func (g *globals) runSign(ctx context.Context, refs []string, key string, o keyFlags, insecure []string) error {
	s, err := g.openKey(ctx, key, o)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }() // it has signed
	c, err := newRegistry(insecure)
	if err != nil {
		return err
	}
	var out []signed
	for _, ref := range refs {
		desc, err := c.Head(ctx, ref)
		if err != nil {
			return fmt.Errorf("signing %s: %w", ref, err)
		}
		changed, err := evidence.Sign(ctx, c, ref, v1.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size}, s)
		if err != nil {
			return fmt.Errorf("signing %s: %w", ref, err)
		}
		one := signed{Reference: ref, Digest: desc.Digest.String(), Key: s.KeyID(), Unchanged: !changed}
		if out = append(out, one); g.json {
			continue
		}
		if !changed {
			fmt.Fprintf(g.err, "%s: %s has signed it already\n", plain.Line(ref), one.Key)
		}
		if _, err := fmt.Fprintln(g.out, ref, one.Digest); err != nil {
			return err
		}
	}
	if g.json {
		return g.printIndented(out)
	}
	return nil
}
