// Package sbom says what an image is made of: a [Document] lists its packages, its base
// image, its watchdog and its template.
package sbom
