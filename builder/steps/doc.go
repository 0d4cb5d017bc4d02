// Package steps takes apart what a builder is asked for, step by step: [Last] and [Failed]
// find one with all that a container needs to be like it. [Layers] says what the layers are there for
// that all steps make.
package steps
