// Package gitrepo reads the user's own git repository as git does.
//
// Where the command git is installed it is asked, so that whatever git reads is read:
// sparse checkouts, partial, shallow and shared clones, linked worktrees, submodules,
// SHA-256 and every extension that this git knows. Where it is not installed, go-git
// reads what it can, and an [ExtensionError] names what it cannot.
//
// A repository is not trusted: commands are started without a shell, and nothing that its
// configuration names is run. Nothing is written to it but objects that a
// partial clone lacks and that were asked for.
package gitrepo
