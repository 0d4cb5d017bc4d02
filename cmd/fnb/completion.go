package main

import (
	"fnb/internal/lazyregexp"
	"fnb/internal/plain"
)

// offered is what may be put on a command line: of it, no shell makes anything but one word, which is no flag.
var offered = lazyregexp.New(`^[A-Za-z0-9_./:@+][A-Za-z0-9_./:@+-]*$`)

// offers are the words that the shell may complete. Many are names of files and keys that others wrote, and shells put
// them on the command line as they are: whoever has such a name types it.
type offers []string

// add offers a word; the shell may show what it is.
func (o *offers) add(word, description string) {
	if !offered.MatchString(word) {
		return
	}
	if description != "" {
		word += "\t" + plain.Line(description)
	}
	*o = append(*o, word)
}
