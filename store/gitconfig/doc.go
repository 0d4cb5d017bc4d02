// Package gitconfig reads what git and ssh are told on this machine: by the
// system, the user and the environment, and never by a repository.
//
// [Read] reads git's configuration, of which [Config.Rewrite] says where a URL is
// asked for instead and [Config.HTTP] what holds for an address. [ReadSSH] reads
// ssh's, of which [SSH.Host] says how a host is reached. What is told there and not
// followed is in the fields named Unfollowed, so that an error can tell of it.
package gitconfig
