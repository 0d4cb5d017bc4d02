// Package publish puts templates and functions into stores, withdraws them, and checks
// what others propose for one.
//
// [Template] and [Draft] make the record of a version and add it; [Yank] and [Deprecate]
// say that one should not be used any more, and nothing is ever taken back. [Check] is
// for a store's CI: it says all that is wrong with a change, without giving secrets to
// whoever has made it. [PushIndex] replaces the index that lies beside a store.
package publish
