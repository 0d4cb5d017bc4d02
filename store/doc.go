// Package store turns the name of a template into its files and a pin, and that of
// a function into its record.
//
// [Finder.Resolve] looks in a fixed order: a source that the stack names for the
// template, and then nowhere else; a folder or a git repository that the reference
// itself names; for a name with a namespace or a store, the stores that the user has
// added; for a bare name ./template beside the stack file, where OpenFaaS keeps
// templates, then the official templates, which are part of the program, and for a
// stack of OpenFaaS's the repository that its template store names. What was passed
// over is in the notes. A version is a SemVer range that has to fit; there is no
// "closest".
//
// Repositories are read with go-git. What they hold is copied into a cache, which
// is addressed by content checksum, compared with it whenever it is read, shared
// by all processes of a user, and may be deleted at any time.
//
// A function has a record and no files: [Finder.Function] finds the version, as
// [Finder.Resolve] does that of a template, [VerifyImage] compares it with what the
// image's registry has, and [Finder.Handler] gets what it was built from.
//
// A lock decides: what it pins and what is found have to be the same.
//
// Errors that a caller could act on are types: [*NotFoundError], [*VersionError],
// [*MismatchError], [*OfflineError], and those of git's servers in [fnb/store/git].
// A Finder is safe for concurrent use.
package store
