// Package git speaks to git's servers, and to repositories in folders, none of which it
// trusts.
//
// [New] returns a [Client]. [Client.Open] names a repository, of which
// [Remote.References] says what it has and [Remote.Fetch] gets the files of one commit:
// within [Limits] that are checked before anything is unpacked, and without anything
// that could leave the folder which [Tree.Write] writes. [Client.Push] adds a
// [Commit], and [Client.Get] gets one file that lies beside repositories, by the same
// rules. Where a repository is really asked for, and who the user is to it, is as git and
// ssh are told on this machine.
//
// The wires are the package's own: HTTP, SSH, git's daemon and the program that is set
// for SSH. What is said on them go-git reads and writes. A [Restraint] holds for what
// somebody else names: how near it may lead, and whether secrets go there.
//
// Errors that a caller could act on are types: [*NotFoundError], [*AuthError],
// [*HostKeyError], [*RefusedError], [*LimitError], [*PlainHTTPError],
// [*UnreachableError], [*NoGitError], [*InwardError], [*FormatError], [*DeclinedError].
package git
