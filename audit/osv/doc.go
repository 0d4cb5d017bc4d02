// Package osv finds what an OSV database in a folder says about a package: begin with [Open].
//
// A database is what OSV publishes: an archive of JSON files for each ecosystem. It is read
// from the archives as they are. Where the files about a package lie in an archive is written
// down once, in an index in the cache, so that nothing else of it is read later.
package osv
