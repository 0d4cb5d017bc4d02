// Package cache keeps what was fetched for the user: the files of templates by their
// checksum, what repositories named, and an index of each store.
//
// [New] returns the [Cache] in a folder. [Cache.Open] gives a template only if its files
// are what the checksum says, and [Cache.OpenIndex] an index only if it is whole; what
// is damaged counts as missing. All processes of a user share it, and it may be deleted
// at any time.
package cache
