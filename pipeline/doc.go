// Package pipeline turns the functions of a stack into images. [Pipeline.Build] is the
// sentence: it resolves a function's template, packages template and handler into a build
// context, has BuildKit solve it into an image with the watchdog layered in, pushes or keeps
// that, unless there is one of equal inputs already, and records what came out.
//
// [New] makes a pipeline from [Settings]; [Pipeline.Jobs] and [Pipeline.Run] take it through
// many functions. What else needs to know how an image comes to be begins with
// [Pipeline.Prepare]: pinning, comparing with a git revision, testing, rebuilding.
package pipeline
