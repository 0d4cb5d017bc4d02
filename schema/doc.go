// Package schema defines every file fnb reads or writes: the stack file, the
// template manifest, the lock, the build report and a store's records, and the words that pass
// between the rooms (references, platforms, digests).
//
// Reading is strict: an unknown key, a wrong type or a bad value in a file that
// a person writes is a [*document.FieldError] with file, line, column and, where one is
// near, the key that was probably meant. All problems of a document are
// reported at once, joined with errors.Join: [fnb/schema/document] reads the YAML.
// Files that fnb writes keep the keys of a later fnb.
//
// Start with [FindStack] and [ReadStack] for a stack, [ParseManifest] for a
// template's template.yml, [ReadLock] for fnb.lock, and [AddFunction] for adding
// a function to a stack file without touching the rest of it.
//
// All types are plain values without hidden state. Functions are safe for
// concurrent use.
package schema
