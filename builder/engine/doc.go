// Package engine speaks to a Docker Engine: it leads to the engine's BuildKit, and asks where the engine keeps its images. It begins with [NewDialer].
package engine
