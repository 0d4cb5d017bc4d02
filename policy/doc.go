// Package policy decides what may be used: templates, images, sources of builds, watchdogs,
// builders and packages. [Read] reads the rules of a project and of the machine, which both
// hold; a [Policy] is asked by whoever resolves something, and by a builder's solve. What is
// not allowed is a [*Refusal].
package policy
