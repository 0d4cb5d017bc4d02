// Package ownership defines who may sign for a namespace of a store, and what they sign.
//
// [ParseOwners] reads one version of a namespace's owners, [ParseEnvelope] the signatures
// beside a file of a store. [NewStatement] says what is signed.
package ownership
