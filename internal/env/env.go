// Package env reads and changes environments as images and processes have them: lists of
// NAME=value, of which [Get] finds one and [Set] changes one.
package env

import "strings"

// Set sets a variable where it stands, or at the end.
func Set(env []string, key, value string) []string {
	for i, kv := range env {
		if k, _, _ := strings.Cut(kv, "="); k == key {
			env[i] = key + "=" + value
			return env
		}
	}
	return append(env, key+"="+value)
}

// Get is the value of a variable; "" where it is not set.
func Get(env []string, key string) string {
	for _, kv := range env {
		if k, v, _ := strings.Cut(kv, "="); k == key {
			return v
		}
	}
	return ""
}
