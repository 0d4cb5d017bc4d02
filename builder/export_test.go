package builder

// What the tests of [builder_test] look at from the inside.

const DialTimeout = dialTimeout

// Lists are the platforms that a builder runs.
func (c *Client) Lists() []string { return c.lists }
