// Package managed starts and stops the builder that fnb has for each user: a process of
// its own. [Builder.Connect] is a client of it, and starts it where it does not run.
// What it runs is for the command that starts it to say; package daemon is that builder.
//
// A program that it needs and that is not installed is a [*MissingError]; a builder that
// does not come up is a [*builder.UnreachableError] with the end of its log.
package managed
