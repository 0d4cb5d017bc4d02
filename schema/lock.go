package schema

import (
	"encoding/json"
)

// lockVersion is the version of the format of fnb.lock that this package writes.
const lockVersion = 1

// A Lock is the contents of fnb.lock: every exact choice of a stack.
type Lock struct {
	Version   int                          `json:"version"`             // of the format: 1
	Templates map[string]Pin               `json:"templates,omitempty"` // by template reference, as the stack writes it
	Bases     map[string]string            `json:"bases,omitempty"`     // digest of each base image, by its reference
	Watchdogs map[string]map[string]string `json:"watchdogs,omitempty"` // digest of each watchdog, by its reference and platform
	Services  map[string]string            `json:"services,omitempty"`  // digest of each service's image, by its reference
	Settings  map[string]string            `json:"settings,omitempty"`  // what else changes digests, by name

	// Unknown holds the keys that a later fnb wrote, so that rewriting the lock
	// keeps them: by template reference those of a pin, under "" those of the
	// lock itself.
	Unknown map[string]map[string]json.RawMessage `json:"-"`
}

// A Pin is one exact choice of a template.
type Pin struct {
	Store    string `json:"store"`             // "official", a store's name, a folder's path or a git URL without credentials
	Version  string `json:"version,omitempty"` // SemVer, where the template has one
	Checksum string `json:"checksum"`          // of the content: "fnb1:sha256:…"
	Commit   string `json:"commit,omitempty"`  // git commit, 40 hex digits
	Source   string `json:"source,omitempty"`  // git URL with the folder in it, where a store's record names it: for machines that have not added the store
	Signer   string `json:"signer,omitempty"`  // fingerprint of the key that signed its record: SHA256:…, where the namespace has keys
}
