package schema

import (
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"fnb/internal/spelling"
	"fnb/schema/document"
	"fnb/schema/reach"
	"fnb/schema/services"
)

// A use is a place where a function names a service.
type use struct {
	at      document.Value
	service string
}

// service reads one service and checks it as a whole.
func (r *reader) service(e document.Entry) services.Service {
	s := services.Service{Name: e.Key, Line: e.At.Line}
	if err := services.ValidateName(e.Key); err != nil {
		r.Refuse(e.At, err)
	}
	seen := r.Object(e.Value, document.Fields{
		"image":            r.Str(&s.Image, ValidateImage),
		"port":             r.port(&s.Port),
		"command":          r.words(&s.Command),
		"environment":      r.StrMap(&s.Environment),
		"environment_file": r.Strs(&s.EnvironmentFile, nil),
		"ready":            r.ready(&s.Ready),
		"timeout":          r.timeout(&s.Timeout),
		"keep":             r.Boolean(&s.Keep),
		"data":             r.Str(&s.Data, services.ValidateFolder),
	})
	r.Require(e.At, seen, "image", "port")
	if at, ok := seen["data"]; ok && !s.Keep {
		r.Fail(at, "says which data is kept, and keep does not say that any is", "")
	}
	return s
}

// checkServices holds the names of services against those of functions, and what functions
// use against what there is.
func (r *reader) checkServices(stack *Stack, at map[string]document.Value) {
	var names []string
	for _, s := range stack.Services {
		names = append(names, s.Name)
		if slices.ContainsFunc(stack.Functions, func(fn Function) bool { return fn.Name == s.Name }) {
			r.Fail(at[s.Name], "there is a function of this name; in a log nobody could tell them apart", "")
		}
	}
	if r.alone {
		return
	}
	for _, u := range r.uses {
		if u.service != "" && !slices.Contains(names, u.service) {
			r.Fail(u.at, fmt.Sprintf("there is no service %q", u.service), spelling.Nearest(u.service, names))
		}
	}
}

// run returns a function that reads what a function is given where it runs here.
func (r *reader) run(dst **FunctionRun) func(document.Value) {
	return func(v document.Value) {
		var run FunctionRun
		if v.Node != nil {
			*dst = &run
		}
		names := map[string]document.Value{} // of what may be reached
		r.Object(v, document.Fields{
			"reach": r.List(func(v document.Value) {
				var text string
				r.NonEmpty(&text, nil)(v)
				if text == "" {
					return
				}
				all, err := reach.ParseAll(append(slices.Clone(run.Reach), text))
				if err != nil {
					r.Fail(v, err.Error(), "")
					return
				}
				run.Reach = append(run.Reach, text)
				names[all[len(all)-1].Name] = v
			}),
			"services": r.List(func(v document.Value) {
				var name string
				r.NonEmpty(&name, nil)(v)
				if slices.Contains(run.Services, name) {
					r.Fail(v, fmt.Sprintf("names %q a second time", name), "")
					return
				}
				run.Services = append(run.Services, name)
				r.uses = append(r.uses, use{at: v, service: name})
			}),
		})
		for _, service := range run.Services {
			if at, ok := names[service]; ok {
				r.Fail(at, fmt.Sprintf("%s is a service of the function; it cannot lead elsewhere too", service), "")
			}
		}
	}
}

func (r *reader) port(dst *int) func(document.Value) {
	return r.Str(new(string), func(s string) (err error) {
		*dst, err = services.ParsePort(s)
		return err
	})
}

func (r *reader) timeout(dst *services.Duration) func(document.Value) {
	return r.Str(new(string), func(s string) (err error) {
		*dst, err = services.ParseTimeout(s)
		return err
	})
}

// words returns a function that reads a command: a text of words, or a list.
func (r *reader) words(dst *services.Words) func(document.Value) {
	return func(v document.Value) {
		if _, ok := v.Node.(*ast.SequenceNode); ok {
			r.Strs((*[]string)(dst), nil)(v)
			return
		}
		r.Str(new(string), func(s string) (err error) {
			*dst, err = services.ParseWords(s)
			return err
		})(v)
	}
}

// ready returns a function that reads how a service shows that it may be used: a text, or
// a list of its words.
func (r *reader) ready(dst *services.Ready) func(document.Value) {
	return func(v document.Value) {
		if _, ok := v.Node.(*ast.SequenceNode); !ok {
			r.Str(new(string), func(s string) (err error) {
				*dst, err = services.ParseReady(s)
				return err
			})(v)
			return
		}
		var words services.Words
		r.words(&words)(v)
		if len(words) == 0 {
			return
		}
		var err error
		if *dst, err = services.ReadyOf(words); err != nil {
			r.Refuse(v, err)
		}
	}
}
