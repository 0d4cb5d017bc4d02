package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"fnb/schema/deploy"
)

// A State is what a platform says of a function.
type State struct {
	There    bool
	Image    string // that runs
	Previous string // that ran before, with its digest; "" is not known
}

// Next is what an image will have run before it: what runs now, or if that has the same digest what ran
// before that. It is "" if no digest is known.
func (s State) Next(image string) string {
	switch now := digest(s.Image); {
	case !s.There:
		return ""
	case now == digest(image):
		return s.Previous
	case now == "":
		return ""
	}
	return s.Image
}

// digest is that of a reference; "" if it has none.
func digest(ref string) string {
	_, d, _ := strings.Cut(ref, "@")
	return d
}

// A Target is where functions run. What it is asked ends with the context; if that has a deadline and it is over, the error is an [Error]
// of the kind Unanswered.
type Target interface {
	// Find says what runs of a function.
	Find(ctx context.Context, name string) (State, error)
	// Apply has the platform run a function. Notes say what it does not take as it stands.
	Apply(ctx context.Context, f deploy.Function) (notes []string, err error)
	// Diff says what Apply would change, in lines; "" is nothing.
	Diff(ctx context.Context, f deploy.Function) (string, error)
	// Wait returns once what was applied is ready, and says where it answers. The context may end before the timeout, which is
	// then that of Apply too.
	Wait(ctx context.Context, f deploy.Function, timeout time.Duration) (url string, err error)
}

// A Kind is why a platform did not do what it was asked for.
type Kind int

// Kinds of errors, each with what Subject is.
const (
	Other       Kind = iota
	NoProgram        // the program that is missing
	NoContext        // the context of kubectl's settings that is not there
	Unreachable      // where nobody answers
	Unanswered       // the gateway or the program that was asked, and did not answer in time
	Credentials      // who wants credentials, or refuses those it was given
	Forbidden        // what one may not do, as "patch deployments.apps"
	NoNamespace      // the namespace that is not there
	NoResource       // the kind of object that the cluster does not know
	Conflict         // who else has written what is to be changed
	Quota            // of a namespace, or ""
	Admission        // who refuses the object
	Pull             // the image that cannot be pulled
	Crash            // the function, which ends each time that it is started
	Unready          // the function
	Silent           // the function, which runs and does not say that it is ready
	Unavailable      // the gateway behind which nobody answers
	NotGateway       // what is no gateway of OpenFaaS's
	Plaintext        // the gateway of another machine that is spoken to in clear text
)

// An Error says what a platform did not do, and why.
type Error struct {
	Kind    Kind
	Subject string
	Text    string
}

func (e *Error) Error() string { return e.Text }

// patience is how long something that will not mend by itself must last to be given up.
const patience = 10 * time.Second

// pause is how long a platform is left alone between two questions.
const pause = time.Second

// A stage is what a platform says while a function becomes ready.
type stage struct {
	ready bool
	stuck bool   // it will not mend by itself, as far as one can tell
	why   *Error // it is not ready; nil is not known
}

// answerTime is how long a platform may take for one answer, if it is asked again and again.
const answerTime = 30 * time.Second

// unanswered is why there is no answer to a question that was asked at a time, and whose context is over: the caller has given up, or
// who was asked takes too long.
func unanswered(ctx context.Context, who string, asked time.Time) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ctx.Err()
	}
	end, _ := ctx.Deadline() // it is there
	return &Error{Kind: Unanswered, Subject: who, Text: fmt.Sprintf("%s does not answer within %s", who, end.Sub(asked).Round(100*time.Millisecond))}
}

// await asks until the function is ready, has been stuck for long, or the time is over.
func await(ctx context.Context, name string, timeout time.Duration, look func(context.Context) (stage, error)) error {
	end := time.Now().Add(timeout)
	within, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	var since time.Time
	var last *Error
	for {
		asked := time.Now()
		one, done := context.WithTimeout(within, answerTime)
		now, err := look(one)
		done()
		switch {
		case errors.Is(ctx.Err(), context.Canceled):
			return ctx.Err()
		case is(err, Unanswered) && within.Err() != nil && (last != nil || time.Since(asked) < pause): // the last question was cut short, which says nothing
		case is(err, Unreachable), is(err, Unanswered), is(err, Unavailable): // which it was not a moment ago
			last, _ = errors.AsType[*Error](err)
		case err != nil && within.Err() == nil:
			return err
		case err == nil && now.ready:
			return nil
		case err == nil:
			last = now.why
		}
		if !now.stuck {
			since = time.Time{}
		} else if since.IsZero() {
			since = time.Now()
		}
		if now.stuck && time.Since(since) >= patience {
			return last
		}
		select {
		case <-time.After(pause):
		case <-within.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return late(name, timeout, last)
		}
	}
}

// late says that the time is over, and what the platform said last.
func late(name string, timeout time.Duration, last *Error) error {
	e := &Error{Kind: Unready, Subject: name, Text: "it is not ready after " + timeout.String()}
	if last != nil {
		e.Kind, e.Subject = cmp.Or(last.Kind, Unready), cmp.Or(last.Subject, name)
		e.Text += ": " + last.Text
	}
	return e
}

// is reports whether an error is of a kind.
func is(err error, kind Kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == kind
}
