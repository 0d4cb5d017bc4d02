// Package reach leads functions to what they may connect to on this machine's network, by
// [Routes], and says what would lead where one wanted to go: [Hint].
package reach

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"fnb/builder/containers"
	"fnb/schema"
	"fnb/schema/reach"
)

// patience is how long a connection may take to be made.
const patience = 10 * time.Second

// Routes returns what leads a function to given, and to what its stack file names. Of the two
// the first wins.
func Routes(given []reach.Destination) func(context.Context, schema.Function) ([]containers.Route, error) {
	return func(_ context.Context, fn schema.Function) ([]containers.Route, error) {
		all := slices.Clone(given)
		if fn.Run != nil {
			own, err := reach.ParseAll(fn.Run.Reach)
			if err != nil {
				return nil, err
			}
			for _, d := range own {
				if !slices.ContainsFunc(given, func(g reach.Destination) bool { return g.Inside() == d.Inside() }) {
					all = append(all, d)
				}
			}
		}
		var routes []containers.Route
		for _, d := range all {
			if fn.Uses(d.Name) {
				return nil, fmt.Errorf("reach %s: %s is a service of the function; it cannot lead elsewhere too", d, d.Name)
			}
			routes = append(routes, containers.Route{Name: d.Name, Port: d.Port, Open: func(ctx context.Context) (net.Conn, error) {
				return (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", d.Address())
			}})
		}
		return routes, nil
	}
}

// Hint is a flag that leads to a destination; "" if the text is none.
func Hint(text string) string {
	d, err := reach.Parse(text)
	if err != nil {
		return ""
	}
	return "--reach " + d.String()
}
