// Package display shows what a builder does while it makes images: [New] begins a display
// of the steps of several functions at once, [NewOverview] one with a line for each
// function. Text from outside is made plain before it is shown.
package display
