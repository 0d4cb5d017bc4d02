package registry

// CheckReference returns an error that says what is wrong with an image
// reference; nil for one that a registry would take.
func CheckReference(ref string) error {
	_, err := parseReference(ref)
	return err
}

// PlainHTTP reports whether the client speaks plain HTTP to the registry of an
// image reference: to this machine, and to hosts of [Options.Insecure].
func (c *Client) PlainHTTP(ref string) bool {
	r, err := parseReference(ref)
	return err == nil && c.plain(r.repo.RegistryStr())
}

// Host returns the registry of an image reference, "" for what is none.
func Host(ref string) string {
	r, err := parseReference(ref)
	if err != nil {
		return ""
	}
	return r.host()
}

// Full returns a reference in full, with its registry and its tag: what is equal for
// two that name the same. It is "" for what is none.
func Full(ref string) string {
	r, err := parseReference(ref)
	if err != nil {
		return ""
	}
	return r.String()
}

// Same reports whether two references are the same in full: repository, tag and
// digest.
func Same(a, b string) bool {
	full := Full(a)
	return full != "" && full == Full(b)
}

// Repository returns a reference without its tag and digest, in full: the
// repository that two references have in common. It is "" for what is none.
func Repository(ref string) string {
	r, err := parseReference(ref)
	if err != nil {
		return ""
	}
	r.tag, r.digest = "", ""
	return r.String()
}
