// Package colours keeps the library of prompts from asking the terminal for its background when a program starts:
// bubbletea does so in an init of its own, in every command, and waits five seconds for a terminal that does not answer.
// The import is the way in. No theme of fnb's depends on the background.
//
// Go initialises what is ready in the order of import paths (specification, "Program initialization"): this package,
// which needs lipgloss alone, comes before github.com/charmbracelet/bubbletea.
package colours

import "github.com/charmbracelet/lipgloss"

func init() { lipgloss.SetHasDarkBackground(true) } //nolint:gochecknoinits // to come before another init is what it is for
