package schema

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"fnb/schema/document"
)

// NewStack returns the contents of a stack file that has fn as its only function.
// Values are written as they are: a ${VAR} in one is replaced when the stack is read.
func NewStack(fn Function) []byte {
	head := "version: 1.0\nprovider:\n  name: openfaas\n  gateway: http://127.0.0.1:8080\n"
	lines := document.Block([]document.Pair{pair("functions", []document.Pair{pair(fn.Name, functionPairs(fn))})}, 2)
	return []byte(head + strings.Join(lines, "\n") + "\n")
}

// AddFunction returns the stack file data with fn added behind its functions.
// Every other byte stays as it is: comments, blank lines, order, quotes and line
// ends. Values are written as they are: a ${VAR} in one is replaced when the
// stack is read.
//
// The result is read again before it is returned, and is the old document with
// the function added, exactly; where that cannot be had, as in a document whose
// functions are an alias, AddFunction returns an error. So it does where fn is
// not valid, or data is not YAML or has a function of that name: a
// [*document.FieldError] then.
func AddFunction(data []byte, fn Function) ([]byte, error) {
	r := &document.Reader{}
	v, ok := r.Document(data)
	if !ok {
		return nil, document.Join(r.Problems)
	}
	old, err := document.PlainTree(v)
	if err != nil {
		return nil, fmt.Errorf("adding the function %s: %w", fn.Name, err)
	}
	if err := checkNewFunction(r, v, fn); err != nil {
		return nil, err
	}
	e := document.NewEditor(data)
	candidates, err := e.Candidates(v.Node, "functions", pair(fn.Name, functionPairs(fn)))
	if err != nil {
		return nil, fmt.Errorf("adding the function %s: %w", fn.Name, err)
	}
	edited, err := e.First(candidates, func(text []byte) error { return verifyAdded(old, text, fn) })
	if err != nil {
		return nil, fmt.Errorf("adding the function %s: the stack file cannot be edited safely; add it by hand: %w", fn.Name, err)
	}
	return edited, nil
}

// ImagePrefix is what the images of all functions that are built have before their names,
// such as ghcr.io/acme; "" where they do not agree. In a stack that was read without an
// environment it may have a ${VAR} in it.
func (s *Stack) ImagePrefix() string {
	prefix := ""
	for _, fn := range s.Functions {
		if fn.SkipBuild {
			continue
		}
		at := strings.LastIndex(fn.Image, "/"+fn.Name)
		if at < 1 || prefix != "" && prefix != fn.Image[:at] {
			return ""
		}
		if rest := fn.Image[at+1+len(fn.Name):]; rest != "" && rest[0] != ':' {
			return ""
		}
		prefix = fn.Image[:at]
	}
	return prefix
}

// checkNewFunction returns an error if fn cannot be added to the stack v.
func checkNewFunction(r *document.Reader, v document.Value, fn Function) error {
	check := &reader{Reader: document.Reader{Raw: true}, alone: true}
	doc, ok := check.Document(NewStack(fn))
	if ok {
		check.stack(doc, &Stack{})
	}
	for _, p := range check.Problems {
		p.Line, p.Column = 0, 0 // places in a file that is not written
	}
	if len(check.Problems) > 0 {
		return document.Join(check.Problems)
	}
	entries, ok := r.Entries(v)
	for _, e := range entries {
		if e.Key != "functions" {
			continue
		}
		functions, isMap := r.Entries(e.Value)
		ok = ok && isMap
		for _, f := range functions {
			if f.Key == fn.Name {
				return &document.FieldError{Line: f.At.Line, Column: f.At.Column, Field: f.At.Field, Problem: "there is a function of this name already"}
			}
		}
	}
	if !ok || len(r.Problems) > 0 {
		return document.Join(r.Problems)
	}
	return nil
}

// reread reads an edited stack file, as a tree and as what it says.
func reread(data []byte) (*document.Tree, *Stack, error) {
	r := &reader{Reader: document.Reader{Raw: true}}
	v, ok := r.Document(data)
	if !ok {
		return nil, nil, document.Join(r.Problems)
	}
	got, err := document.PlainTree(v)
	if err != nil {
		return nil, nil, err
	}
	stack := &Stack{}
	r.stack(v, stack)
	return got, stack, nil
}

// verifyAdded returns an error unless data is the document old with fn added.
func verifyAdded(old *document.Tree, data []byte, fn Function) error {
	got, stack, err := reread(data)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(stack.Functions, func(f Function) bool { return f.Name == fn.Name })
	if i < 0 {
		return errors.New("the function is not in the result")
	}
	added := stack.Functions[i]
	added.Line = fn.Line
	if !reflect.DeepEqual(functionPairs(added), functionPairs(fn)) {
		return errors.New("the function reads differently in the result")
	}
	got.Remove("functions", fn.Name)
	if !reflect.DeepEqual(got, old.WithSection("functions")) {
		return errors.New("something else would change")
	}
	return nil
}

// functionPairs returns what a stack file says of fn, without what it leaves out.
func functionPairs(fn Function) []document.Pair {
	return withoutEmpty(
		pair("lang", fn.Lang),
		pair("handler", fn.Handler),
		pair("image", fn.Image),
		pair("skip_build", fn.SkipBuild),
		pair("build_options", fn.BuildOptions),
		pair("build_args", mapPairs(fn.BuildArgs)),
		pair("build_secrets", mapPairs(fn.BuildSecrets)),
		pair("platforms", fn.Platforms.String()),
		pair("watchdog", fn.Watchdog),
		pair("fprocess", fn.FProcess),
		pair("environment", mapPairs(fn.Environment)),
		pair("environment_file", fn.EnvironmentFile),
		pair("secrets", fn.Secrets),
		pair("constraints", fn.Constraints),
		pair("labels", mapPairs(fn.Labels)),
		pair("annotations", mapPairs(fn.Annotations)),
		pair("limits", resourcePairs(fn.Limits)),
		pair("requests", resourcePairs(fn.Requests)),
		pair("readonly_root_filesystem", fn.ReadOnlyRootFilesystem),
		pair("namespace", fn.Namespace),
		pair("test", testPairs(fn.Test)),
		pair("run", runPairs(fn.Run)),
	)
}

// withoutEmpty are those of the pairs that say something.
func withoutEmpty(pairs ...document.Pair) []document.Pair {
	return slices.DeleteFunc(pairs, func(p document.Pair) bool {
		switch v := p.Value.(type) {
		case string:
			return v == ""
		case bool:
			return !v
		case []string:
			return len(v) == 0
		case []document.Pair:
			return len(v) == 0
		}
		return true
	})
}

func mapPairs(m map[string]string) []document.Pair {
	var pairs []document.Pair
	for _, k := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, pair(k, m[k]))
	}
	return pairs
}

func resourcePairs(r *Resources) []document.Pair {
	if r == nil {
		return nil
	}
	return withoutEmpty(pair("memory", r.Memory), pair("cpu", r.CPU))
}

func testPairs(t *FunctionTest) []document.Pair {
	if t == nil {
		return nil
	}
	return withoutEmpty(pair("target", t.Target), pair("skip", t.Skip), pair("request", requestPairs(t.Request)))
}

func runPairs(r *FunctionRun) []document.Pair {
	if r == nil {
		return nil
	}
	return withoutEmpty(pair("reach", r.Reach), pair("services", r.Services))
}

func requestPairs(t *TestRequest) []document.Pair {
	if t == nil {
		return nil
	}
	status := ""
	if t.Status != 0 {
		status = strconv.Itoa(t.Status)
	}
	return withoutEmpty(
		pair("method", t.Method), pair("path", t.Path), pair("headers", mapPairs(t.Headers)),
		pair("body", t.Body), pair("status", status), pair("contains", t.Contains),
	)
}

func pair(key string, value any) document.Pair { return document.Pair{Key: key, Value: value} }
