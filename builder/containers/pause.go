package containers

import "time"

const (
	firstPause   = 100 * time.Millisecond
	longestPause = time.Minute
	lasting      = 10 * time.Second // how long a container runs that was started to some end
)

// A Pause is what is waited before a container is started again that has ended. It grows as that of
// a Docker Engine does for one that it restarts, and begins anew after a container that has lasted.
type Pause struct{ last time.Duration }

// After returns the pause after a container that could be used for so long.
func (p *Pause) After(used time.Duration) time.Duration {
	if used >= lasting {
		p.last = 0
	}
	p.last = min(max(2*p.last, firstPause), longestPause)
	return p.last
}

// Again says that a container is started again after a pause.
func Again(pause time.Duration) string {
	if pause < time.Second {
		return "it is started again"
	}
	return "it is started again after " + pause.Round(time.Second).String()
}
