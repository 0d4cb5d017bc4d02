package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"fnb/internal/plain"
	"fnb/schema"
	known "fnb/schema/services"
)

// A usedStack is what a run goes by of a stack file.
type usedStack struct {
	stack     *schema.Stack
	functions []schema.Function
}

func (g *globals) useStack(names []string, c choice) (u usedStack, err error) {
	if u.stack, err = g.readStack(); err != nil {
		return u, err
	}
	u.functions, err = chooseFunctions(u.stack, names, c)
	return u, err
}

// settling is how long a file may be half written that was saved.
const settling = 200 * time.Millisecond

// StackSaved implements [serve.Observer]: it says what of the file the run does not go by.
func (r *runner) StackSaved() {
	now, err := r.g.useStack(r.names, r.o.choice)
	if err != nil {
		time.Sleep(settling)
		now, err = r.g.useStack(r.names, r.o.choice)
	}
	file := relative(r.p.Stack.File)
	if err != nil {
		r.g.say(&r.out, file, "it was saved, and has an error; what runs goes on")
		r.out.Lock()
		defer r.out.Unlock()
		show(r.g.err, err)
		return
	}
	if news := r.used.news(now); len(news) > 0 {
		r.g.say(&r.out, file, "it was saved: %s; start fnb run again to use it", strings.Join(news, ", "))
	}
}

// news says in what another reading of a stack file differs, for what is run.
func (u usedStack) news(now usedStack) []string {
	news := differences("", u.functions, now.functions, func(fn *schema.Function) (string, *int) { return fn.Name, &fn.Line })
	news = append(news, differences("the service ", u.stack.ServicesOf(u.functions), now.stack.ServicesOf(now.functions), func(s *known.Service) (string, *int) { return s.Name, &s.Line })...)
	if !reflect.DeepEqual(u.stack.Configuration, now.stack.Configuration) {
		news = append(news, "configuration has changed")
	}
	return news
}

// differences says which things came, went or changed. Each has a name, and a line that does
// not matter.
func differences[T any](what string, before, after []T, of func(*T) (name string, line *int)) (news []string) {
	find := func(all []T, name string) *T {
		at := slices.IndexFunc(all, func(one T) bool { n, _ := of(&one); return n == name })
		if at < 0 {
			return nil
		}
		one := all[at]
		_, line := of(&one)
		*line = 0
		return &one
	}
	say := func(name, happened string) {
		news = append(news, fmt.Sprintf("%s%s %s", what, plain.Short(name), happened))
	}
	for i := range before {
		name, _ := of(&before[i])
		if is := find(after, name); is == nil {
			say(name, "is gone")
		} else if !reflect.DeepEqual(find(before, name), is) {
			say(name, "has changed")
		}
	}
	for i := range after {
		if name, _ := of(&after[i]); find(before, name) == nil {
			say(name, "is new")
		}
	}
	return news
}
