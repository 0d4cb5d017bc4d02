// Package target receives images in a file or a Docker Engine: [New] opens one that begins
// anew each time that an image is made again, [File], [Folder], [Made] and [Engine] are the kinds of it.
package target
