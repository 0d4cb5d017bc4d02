// Package program reaches a builder through a program of the user's, such as kubectl, docker or ssh, and keeps what the
// program complains about. It begins with [Of].
package program
