// Package daemon is fnb's own builder: [Serve] runs BuildKit's own controller in this
// process, until it is interrupted or nobody needs it. [Ready] says beforehand what keeps
// it from running on a machine.
//
// It exists on Linux only, and nothing but the command that serves imports it: it brings
// containerd, its snapshotters and the databases along.
package daemon
