// Package lists finds out what the packages of a function are installed from.
//
// [Find] looks at the package lists of a handler, decides by which package manager they
// are installed, and says which files that needs: manifest and lock, what the template
// names beside them, and what all of these name themselves, such as "-r base.txt" or
// "file:./lib". A handler that is a member of a workspace of npm, pnpm, yarn, bun, uv or
// cargo is installed from the workspace's folder, with the members that it depends on.
//
// All of it is foreign data: what is read is bounded, nothing outside of the file system
// that is given is looked at, and nothing outside of the folder that packages are installed
// from is named. Errors about a file are a [*document.FieldError] with its line.
package lists
