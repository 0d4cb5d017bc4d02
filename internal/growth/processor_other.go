//go:build !unix

package growth

import "time"

// processor is the time of day, where nothing better is at hand.
func processor() time.Duration { return time.Duration(time.Now().UnixNano()) }
