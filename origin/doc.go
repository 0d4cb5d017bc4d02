// Package origin decides to whom a secret may go, and which addresses may be followed.
// [Origin] is compared before a secret is sent, [Check] reads an address that came from
// elsewhere, and a [Guard] stands below all HTTP of stores and registries.
package origin
