// Package images keeps images in an OCI image layout that all functions of a user share:
// a blob that several images use is on disk once. [Open] opens a store; BuildKit's client
// writes blobs into it, and [Store.Put] names an image once all of its blobs are there.
//
// What a caller could act on is a type: [*NotFoundError], [*DamagedError], [*IndexError]
// and, for what is no reference, [*schema.ImageError].
//
// A Store is safe for concurrent use, also between processes.
package images
