// Package house holds the rules of the house that a test can check: which room
// may import which ([Rooms]), who may use which outside library ([Libraries]),
// and how large a room may become ([Limits]). docs/design.md explains the rooms;
// the linter's rules are written from the table with
//
//	go test ./internal/house -update
package house
