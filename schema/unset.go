package schema

import (
	"slices"
	"strings"

	"fnb/schema/document"
)

// An unsetValue is a value of a stack that could not be made, for want of a variable.
type unsetValue struct {
	function string // "" where it concerns all functions, or those that use a service
	service  string // that it is of
	key      string // of the function, or of the stack
	problem  *document.FieldError
}

// unsetValueOf says whose value it is that waits for a variable.
func unsetValueOf(u document.Unset) unsetValue {
	field := u.Problem.Field
	if u.Within != "" {
		field = strings.TrimPrefix(field, document.Below("functions", u.Within)+".")
	}
	first := func(field string) string {
		key, _, _ := strings.Cut(field, ".")
		key, _, _ = strings.Cut(key, "[")
		return key
	}
	key := first(field)
	if rest, ok := strings.CutPrefix(field, "services."); ok && u.Within == "" {
		service, of, _ := strings.Cut(rest, ".")
		return unsetValue{service: service, key: key + "." + first(of), problem: u.Problem}
	}
	return unsetValue{function: u.Within, key: key, problem: u.Problem}
}

// SourceKeys are the keys of a function, and of a stack, that decide what an image is
// made of.
func SourceKeys() []string {
	return []string{"configuration", "lang", "handler", "skip_build", "build_options", "build_args", "build_secrets", "platforms", "watchdog", "fprocess"}
}

// BuildKeys are [SourceKeys] and what the image is called.
func BuildKeys() []string { return append(SourceKeys(), "image") }

// RunKeys are [SourceKeys] and what else decides how a function runs on this machine.
func RunKeys() []string {
	return append(SourceKeys(), "environment", "environment_file", "secrets", "run",
		"services.image", "services.port", "services.command", "services.environment", "services.environment_file", "services.ready", "services.timeout", "services.keep", "services.data")
}

// DeployKeys are those that a platform is told of.
func DeployKeys() []string {
	return []string{
		"image", "fprocess", "environment", "environment_file", "secrets",
		"constraints", "labels", "annotations", "limits", "requests", "readonly_root_filesystem", "namespace",
	}
}

// Needs reports, as joined [document.FieldError]s, the variables that are not set although the
// keys of the functions need them. A value that needs such a variable is empty in the
// stack, so whoever uses a key asks for it here first; the others cannot be stopped by it.
func (s *Stack) Needs(functions []Function, keys []string) error {
	var problems []*document.FieldError
	for _, u := range s.unset {
		of := u.function == "" && u.service == "" ||
			slices.ContainsFunc(functions, func(f Function) bool { return f.Name == u.function || f.Uses(u.service) })
		if of && slices.Contains(keys, u.key) {
			problems = append(problems, u.problem)
		}
	}
	return document.Join(problems)
}
