//go:build !linux && !darwin

package tree

import "io/fs"

// statusOf knows nothing here, so that every file is read.
func statusOf(fs.FileInfo) (status int64, inode uint64, ok bool) { return 0, 0, false }
