package builder

import (
	"errors"
	"slices"
	"strings"

	"fnb/internal/lazyregexp"
	"fnb/schema/settings"
)

// onLoopback is how programs write an address of their machine's loopback.
var onLoopback = lazyregexp.New(`(127(?:\.\d{1,3}){3}|localhost|\[::1\])(?:\)? port |', port=|[:/])(\d{1,5})\b`)

// explainOwnNetwork says of a step which address it did not reach that is on the builder's
// machine, maybe, and not in the step's network.
func (c *Client) explainOwnNetwork(err error) error {
	var se *SolveError
	if c.network != settings.NetworkOwn || !errors.As(err, &se) {
		return err
	}
	se.Own = refusedAddress(se)
	return err
}

// refusedAddress is the address of a loopback that a step was refused at: of the line that
// says so, or, where that line has none, as Python's have not, of the step itself. It is ""
// where nothing was refused.
func refusedAddress(se *SolveError) string {
	address, refused := "", false
	for _, line := range append(slices.Clone(se.Log), se.Problem) {
		if !strings.Contains(strings.ToLower(line), "refused") && !strings.Contains(line, "is not reached from a build") {
			continue
		}
		refused = true
		if m := onLoopback.FindStringSubmatch(line); m != nil {
			address = m[1] + ":" + m[2]
		}
	}
	if m := onLoopback.FindStringSubmatch(se.Step); m != nil && refused && address == "" {
		address = m[1] + ":" + m[2]
	}
	return address
}
