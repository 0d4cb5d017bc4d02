// Package rebase replaces the base images of images at their registries, and their watchdogs, without a build:
// [Planner.Plan] says what can be replaced and why the rest cannot, [Applier.Apply] does it and [Applier.Undo]
// takes it back.
package rebase
