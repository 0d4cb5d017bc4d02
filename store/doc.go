// Package store turns a template's name into a verified template.
//
// [Store.Resolve] finds a template reference's template: a folder, a git
// repository, a folder template/ beside the stack file, or one of the official
// templates. A source that the stack names is exclusive: its template is never
// looked up anywhere else. What was chosen is a [schema.Pin]; a pin of the lock
// is kept to, and what no longer matches it is a [*MismatchError].
//
// A Store is safe for concurrent use, by several processes too.
package store
