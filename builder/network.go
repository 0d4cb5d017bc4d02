package builder

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"fnb/schema"
)

// networkLabel is where a BuildKit says which network RUN steps have.
const networkLabel = "org.mobyproject.buildkit.worker.network"

// onLoopback is how programs write an address of their machine's loopback.
var onLoopback = regexp.MustCompile(`(127(?:\.\d{1,3}){3}|localhost|\[::1\])(?:\)? port |[:/])(\d{1,5})\b`)

// secluded says of a step which address it did not reach that is on the builder's
// machine, maybe, and not in the step's network.
func (c *Client) secluded(err error) error {
	var se *SolveError
	if c.network != schema.NetworkOwn || !errors.As(err, &se) {
		return err
	}
	for _, line := range append(slices.Clone(se.Log), se.Problem) {
		refused := strings.Contains(strings.ToLower(line), "refused") || strings.Contains(line, "is not reached from a build")
		if m := onLoopback.FindStringSubmatch(line); m != nil && refused {
			se.Own = m[1] + ":" + m[2]
		}
	}
	return err
}
