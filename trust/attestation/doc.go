// Package attestation writes and reads statements about images, signed or not, in the forms that
// other tools have: a Statement of in-toto in an envelope (DSSE) in a bundle of sigstore, as cosign
// v3 attaches it to an image.
//
// [New] makes a statement. [Sign] makes an [Artifact] of it with a signature, [Unsigned] one
// without; either is attached by the room registry, whose Attachment it converts to:
//
//	s, err := attestation.New(attestation.PredicateProvenance, predicate, attestation.Image(digest))
//	a, err := attestation.Sign(ctx, signer, s)
//	_, err = client.Attach(ctx, ref, subject, registry.Attachment(a))
//
// [Read] reads what was found at an image. What it says is nobody's word before
// [Found.Verify] has returned whose; and a signature of an image is one predicate,
// [PredicateSignature], among others: [Found.Says] asks for the one that is wanted.
//
// An unsigned statement is the layer of a manifest, of the media type of in-toto, as BuildKit
// writes it. Equal statements have equal bytes.
package attestation
