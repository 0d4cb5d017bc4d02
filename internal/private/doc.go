// Package private keeps other users away from folders: [MakeFolder] makes one that only its
// owner may enter, [MakeSocketFolder] one in which nobody can put another socket in the
// place of the user's.
package private
