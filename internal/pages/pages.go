// Package pages does what a page of the documents says, block by block: [Blocks] reads them, and [Reader.Do] does one.
//
// A block with the name of a file is written to that file; one with ">>" before the name is added to it, and "~/"
// leads to the reader's home. Of a console each command is run, and what it prints is compared. Of a console that
// "fails" the last command must. In what a page shows "…" is any text, and on a line of its own any lines. A block that
// is neither is only shown, and a comment in the line before says why:
//
//	<!-- shown only: no cluster is at hand -->
package pages

import (
	"fmt"
	"regexp"
	"strings"
)

// A Block is one of a page.
type Block struct {
	// Line is where it begins.
	Line int
	// Kind is its language, and File the name of the file that it is, or "fails" for a console.
	Kind, File string
	// ShownOnly is why nobody does what it says.
	ShownOnly string
	Lines     []string
}

var (
	blockBegin = regexp.MustCompile("^```([a-z]+)?(?: (\\S+))?$")
	shownOnly  = regexp.MustCompile(`^<!-- shown only: (.+) -->$`)
)

// Blocks are those of a page, also of its comments: what a reader has done before. A block that can neither be done nor
// says why it is shown is an error.
func Blocks(page string) ([]Block, error) {
	var all []Block
	var open *Block
	before := ""
	for i, line := range strings.Split(page, "\n") {
		switch m := blockBegin.FindStringSubmatch(line); {
		case open == nil && m != nil:
			open = &Block{Line: i + 1, Kind: m[1], File: m[2]}
			if why := shownOnly.FindStringSubmatch(before); why != nil {
				open.ShownOnly = why[1]
			}
		case open != nil && line == "```":
			all, open = append(all, *open), nil
		case open != nil:
			open.Lines = append(open.Lines, line)
		}
		before = line
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: the block does not end", open.Line)
	}
	for _, b := range all {
		if b.Kind != "console" && b.File == "" && b.ShownOnly == "" {
			return nil, fmt.Errorf("line %d: the block is neither a console nor names its file, and no comment before it says why it is only shown", b.Line)
		}
	}
	return all, nil
}

// matches reports whether a text is what a page shows.
func matches(shown, text string) bool {
	quoted := regexp.MustCompile(`(?m)\n?^…$`).ReplaceAllString(regexp.QuoteMeta(shown), `(?s:.*)`)
	quoted = strings.ReplaceAll(quoted, "…", ".*")
	return regexp.MustCompile("^" + regexp.MustCompile(` +`).ReplaceAllString(quoted, " *") + "$").MatchString(text)
}

var beside = regexp.MustCompile(`^(?:fnb: |hint: |--- |    \| |ok  )`)

// aside takes the lines that fnb prints beside its result out of what a page shows.
func aside(shown string) (said []string, rest string) {
	var lines []string
	for line := range strings.SplitSeq(shown, "\n") {
		if beside.MatchString(line) {
			said = append(said, line)
		} else {
			lines = append(lines, line)
		}
	}
	return said, strings.Join(lines, "\n")
}
