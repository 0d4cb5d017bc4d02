// Package owners decides whether what a store says of a namespace is said by its owners.
//
// [Follow] reads the owners of a namespace, one after the other, as far as each is signed by
// the ones before. [Chain.Check] compares the signatures of a file with their keys. A [Judge]
// does both for all that is read of a store, and says what of it is refused. A [Memory] keeps
// whom this machine has seen, since the first owners are taken as they are.
package owners
