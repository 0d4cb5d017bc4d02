package registry

// PlainHTTP reports whether the client speaks plain HTTP to the registry of an
// image reference: to this machine, and to hosts of [Options.Insecure].
func (c *Client) PlainHTTP(ref string) bool {
	r, err := parseReference(ref)
	return err == nil && c.plain(r.repo.RegistryStr())
}
