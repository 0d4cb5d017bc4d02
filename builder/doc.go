// Package builder turns a build context into an image, through BuildKit.
//
// [Dial] connects to a builder: any BuildKit address, or the one that package
// managed starts. [Client.Solve] has it make one
// function's image: it solves the template's Dockerfile, merges the watchdog's
// layer on top, lays fnb's settings over the image's configuration and exports
// the result.
//
// The package reads a build context as an [io/fs.FS] and never copies it to
// disk. It returns [*UnreachableError] where there is no builder to talk to,
// [*SolveError] where a step of the Dockerfile fails and [*ExportError] where the
// image cannot be delivered. A [Client] is safe for concurrent use; each Solve
// has a session of its own.
package builder
