// Package streams carries many connections over one pair of byte streams: a [Mux] at each
// end opens a [Stream] for each connection. fnb and the watchdog's command tunnel speak so
// over the input and output of a process.
//
// What the other end sends is not trusted: a stream holds at most [Window] bytes that nobody
// has read, the other end opens at most so many streams as it may, and whatever breaks the
// rules ends the Mux.
package streams
