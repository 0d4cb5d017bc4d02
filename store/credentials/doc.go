// Package credentials finds out who the user is to a server of git or of files.
//
// [Each] gives what it finds for an address: the token in the host's [TokenVariable] or
// of the CI job, the user's .netrc, and git's credential helpers. Nobody is asked at the
// terminal, and nothing that was found for one host is given for another.
package credentials
