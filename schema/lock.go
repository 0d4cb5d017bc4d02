package schema

// A Lock is the contents of fnb.lock: every exact choice of a stack.
type Lock struct {
	Version   int            `json:"version"`             // of the format: 1
	Templates map[string]Pin `json:"templates,omitempty"` // by template reference, as the stack writes it
}

// A Pin is one exact choice of a template.
type Pin struct {
	Store    string `json:"store"`             // "official", a store's name, a folder's path or a git URL without credentials
	Version  string `json:"version,omitempty"` // SemVer, where the template has one
	Checksum string `json:"checksum"`          // of the content: "fnb1:sha256:…"
	Commit   string `json:"commit,omitempty"`  // git commit, 40 hex digits
}
