// Package engine speaks to a Docker Engine: it finds the one that docker uses, leads to the engine's BuildKit, and asks where the engine keeps its images. It begins with [Find] and [NewDialer].
package engine
