package main

import "testing"

// A released fnb knows its own release; one that was built from source, or that is in no repository yet, has
// none.
func TestOwnRelease(t *testing.T) {
	t.Parallel()
	const page = "https://github.com/acme/fnb/releases/download/v1.2.3"
	for _, tt := range []struct{ module, version, want string }{
		{"github.com/acme/fnb", "1.2.3", page},
		{"github.com/acme/fnb", "v1.2.3", page},
		{"github.com/acme/fnb/v2", "v1.2.3", page},
		{"git.example.com/acme/fnb", "v1.2.3", "https://git.example.com/acme/fnb/releases/download/v1.2.3"},
		{"github.com/acme/fnb", "v1.2.3-rc.1", page + "-rc.1"},
		{"github.com/acme/fnb", "v1.2.3-4-gabcdef0", ""},
		{"github.com/acme/fnb", "v1.2.3-rc.1-4-gabcdef0", ""},
		{"github.com/acme/fnb", "v1.2.3-dirty", ""},
		{"github.com/acme/fnb", "dev", ""},
		{"fnb", "v1.2.3", ""},
		{"", "v1.2.3", ""},
	} {
		if got := ownRelease(tt.module, tt.version); got != tt.want {
			t.Errorf("%s of %s: %q, want %q", tt.version, tt.module, got, tt.want)
		}
	}
}
