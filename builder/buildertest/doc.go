// Package buildertest starts builders for tests, and has them make images: [Stock] is a
// BuildKit as others have it, [NewManaged] fnb's own builder. The tests of a package that
// uses it begin with [Main].
package buildertest
