// Package origin decides to whom a secret may go, and which addresses may be followed.
package origin
