// Package disk changes files that others read at the same time, and that must be whole
// after a crash: [ReplaceFile] puts a file in its place in one step, and [Lock] keeps
// other processes out meanwhile.
package disk
