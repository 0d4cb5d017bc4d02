// Package fleet finds the builders that a run uses, one or several, and has several of
// them share its work. [Find] decides which builders those are, from the settings that may
// name them; [New] makes a [Fleet] of several; an [OnDemand] connects when somebody first
// needs a builder.
//
// Where no builder is left the error is a [*NoneLeftError].
package fleet
