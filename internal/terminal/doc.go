// Package terminal lends the user's terminal to a program that runs elsewhere, byte by byte
// as it is typed, and has it back as it
// was: [Lend].
package terminal
