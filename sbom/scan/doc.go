// Package scan finds the packages that are installed in an image. [Image] reads the layers of one, and
// [Tree] the folders of a file system that is somewhere else, such as in a builder; both find the same.
//
// Nothing of an image is trusted: what is read is bounded, no path leaves the file system, and what
// cannot be read is named in [Found.Unread] and left out.
package scan
