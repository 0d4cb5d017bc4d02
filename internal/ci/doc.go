// Package ci knows the CI systems: [Here] is the one that this process runs in, and prints
// what that shows, such as folded logs and problems beside their lines; [New] makes the
// [Pipeline] of a stack for any of [Systems].
//
// A system is one file of this package and one line of its table.
package ci
