// Package attest says of images how they were made and what is in them, and attaches that to them:
// [Attester.Attach] in their registry, [Attester.Keep] in the image store.
//
// What is said is attached by digest, before a tag names the image. So whoever follows a tag finds it, and
// the image's digest is the same with and without it. Equal inputs have equal statements, byte for byte.
package attest
