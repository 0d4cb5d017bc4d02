// Package tree shows files of several places as one read-only [fs.FS].
//
// A template and a build context are both lists of files that already exist
// somewhere: in a folder, in the program, below another name. [Scan] reads such
// a list from an [fs.FS], [New] makes an [FS] of one, and nothing is copied:
// contents are read where they are when somebody opens them.
//
// What an FS shows does not depend on the machine. Files are 0644, or 0755
// where their owner may run them; folders are 0755; times are the Unix epoch;
// order is by name. Links are kept as they are and never followed out of the
// tree. A file that changes between Scan and its reading is an error, so that
// a digest made of a tree is the digest of what is read from it later.
//
// Errors about a file are a [*PathError]. An FS is safe for concurrent use.
package tree
