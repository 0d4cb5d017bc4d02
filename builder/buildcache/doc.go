// Package buildcache knows the types of build cache: [New] makes a [Cache] of what a user
// writes, fills in what the environment has, and refuses what no builder could use.
//
// A type is one entry of the table in types.go. What fnb's own builder does with one is in
// package daemon; another BuildKit has code of its own.
package buildcache
