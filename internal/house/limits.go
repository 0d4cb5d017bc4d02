package house

// Limits are how large a package may become, tests aside. A limit of 0 is none.
type Limits struct {
	Lines    int // of all files
	Files    int
	Exported int // package-level names; methods and fields do not count
	Fields   int // of a struct that is no document, which is one with names in JSON or YAML
	Function int // lines of a body
	Command  int // lines of a file with a command of cobra's; each has one command
}

// LimitsOf returns the limits of the package at a path below the module.
func LimitsOf(path string) Limits {
	l := Limits{Lines: 4000, Files: 30, Exported: 60, Fields: 15, Function: 80, Command: 160}
	switch path {
	case "cmd/fnb": // one file a command
		l.Lines, l.Files = 0, 0
	case "cmd/fwatchdog": // one program, whose requests fall through it from file to file
		l.Lines = 5000
	case "schema": // every file that fnb reads or writes
		l.Exported = 110
	}
	return l
}
