// Package scan finds the packages that are installed in an image: [Cache.Image] reads its layers, and each of them once,
// since images have most of theirs in common.
//
// Nothing of an image is trusted: what is read is bounded, no path leaves the file system, and what
// cannot be read is named in [Found.Unread] and left out.
package scan
