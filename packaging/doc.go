// Package packaging turns a template and a handler into a build context.
//
// [Assemble] lays the handler over the template at the template's handler
// folder, leaves out what the ignore files say, adds what configuration.copy
// names, and returns a [Context]: a view of the files where they are, which is
// never copied to disk to be built, with a digest, the build args and what fnb
// lays over the image's configuration. [WriteDir] writes a context to a folder
// for somebody who wants to look at it.
//
// Same input, same context: modes are 0644 and 0755, times are the epoch, order
// is by name, and nothing is taken from the environment. Everything is read
// through [os.Root]; a link that leaves the folder it lies in, a device, a FIFO
// and a socket are errors, a [*tree.PathError] that names the path.
//
// The watchdog is one layer for each platform, the same in every image.
// [WriteWatchdog] makes the layers from the binaries, as an OCI layout, and
// [Watchdog] returns those that are part of the program.
//
// Functions are safe for concurrent use.
package packaging
