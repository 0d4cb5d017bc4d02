// Package document reads and changes the YAML documents that people write, whatever
// they are about. A [Reader] turns one into values and gathers all its problems, each
// with its place and the word that was probably meant; an [Editor] adds to one and
// leaves every other byte as it is, which a [Tree] proves.
package document
