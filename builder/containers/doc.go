// Package containers runs images in a builder, and reaches into them: [Run] starts a
// [Container], whose [Container.Transport] asks what listens in it. A container has no
// network but its own; requests reach it through a process of a watchdog that is mounted
// beside the image's files.
//
// A process that ends before it takes requests is an [*ExitError], one at whose port
// nothing answers a [*NotListeningError].
package containers
