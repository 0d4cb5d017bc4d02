// Package servers starts the real servers that tests and the demo speak to: a
// registry, buildkitd, git over HTTP, sshd, stand-in base images, and containers.
//
// Each server has two doors. StartX(ctx, options) returns the server and an
// error, and the caller calls Close. XFor(t, options) is for tests: it closes
// the server when the test ends, and where the server cannot be had it skips
// the test, or fails it when FNB_REQUIRE names the server (see [Require]).
//
// Everything listens on the loopback address, on a port that was free, and is
// stopped with the program that started it. The heavy programs, the registry
// and buildkitd, are Go tools of the nested module tools; they are taken from
// bin/tools, and built there when missing.
package servers
