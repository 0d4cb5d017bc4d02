package display

import "github.com/moby/buildkit/client"

// An Event is a line of the progress as JSON.
type Event = event

// Late is news of a solve after the progress has ended.
func (p *Progress) Late(s *client.SolveStatus) { p.Update("late", s) }
