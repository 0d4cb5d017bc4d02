// Package registry moves images between the local image store and OCI
// registries.
//
// A [Client] speaks to registries: [Client.Push], [Client.Pull], [Client.Copy], [Client.Head],
// [Client.Attach], [Client.Referrers] and [Client.Login]. It sends only what the registry does not have, waits and
// tries again where that can help, and uses plain HTTP only for this machine or
// for hosts it was told of. Credentials are those of Docker and Podman.
//
// What a caller could act on is a type: [*AuthError], [*NotFoundError],
// [*PolicyError], [*UnavailableError], [*ReferrersError], [*PlainHTTPError] and, for what is no reference,
// [*schema.ImageError]. An interrupted call returns the context's error. Text that
// comes from a registry has its control characters removed before it is put into
// an error.
//
// All types are safe for concurrent use.
package registry
