// Package buildcontext hands a build context to a builder: [Read] walks one, and
// [Context.Give] gives it to a solve, inside of what is asked or over the session.
package buildcontext
