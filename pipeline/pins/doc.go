// Package pins keeps the pins of a run: what fnb.lock has and what was looked up since
// ([Set]), and how two locks differ ([Diff]).
package pins
