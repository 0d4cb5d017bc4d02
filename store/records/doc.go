// Package records reads the files of a store, wherever they are, and writes its index.
//
// [Open] returns the [Reader] of a store in a folder, which gives every [Package] and
// [Reader.Generate]s an index. What has to be fetched first is read by a [Scanner] of a
// [Tree], by [ReadSnapshot] of an index and by [ReadList] of OpenFaaS's lists: each
// gives a [Feed] of packages, or the packages themselves, and tells what it passed over.
// Nothing in them is believed: each record goes through the same parser.
package records
