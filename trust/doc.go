// Package trust makes and checks signatures with the keys that people have.
//
// A key is one key, whatever file it comes in: [Open] reads keys of OpenSSH, key pairs
// of cosign and PEM files, asks an agent, or has a program sign; [OpenPublic] reads what
// signatures are checked against. A [PublicKey] can be written in the form of OpenSSH and in
// PEM, and has one fingerprint, which ssh-keygen -l prints too.
//
// Every key makes two kinds of signatures. [Signer.Sign] makes a bare one, as cosign and
// openssl verify it. [Signer.SignSSH] makes one of OpenSSH's with a namespace in it, as
// ssh-keygen -Y verify does. Nothing here uses a network.
//
// What a caller could act on is a type: [*KeyError], [*PasswordError], [*AgentError],
// [*ProgramError], [*TimeError] and [*SignatureError].
package trust
