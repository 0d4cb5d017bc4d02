// Package builder turns a build context into an image, through BuildKit.
//
// [Dial] connects to a builder: any BuildKit address, or the managed builder
// that [Managed.Start] elects and starts. [Client.Solve] has it make one
// function's image: it solves the template's Dockerfile, merges the watchdog's
// layer on top, lays fnb's settings over the image's configuration and exports
// the result. [Serve] is the managed builder itself, BuildKit's own controller
// in this process; it exists on Linux only, and not in a build with the tag
// "fnb_client".
//
// The package reads a build context as an [io/fs.FS] and never copies it to
// disk. It returns [*UnreachableError] where there is no builder to talk to,
// [*SolveError] where a step of the Dockerfile fails and [*ExportError] where the
// image cannot be delivered. A [Client] is safe for concurrent use; each Solve
// has a session of its own.
package builder
