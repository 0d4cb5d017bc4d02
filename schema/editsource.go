package schema

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"fnb/schema/document"
)

// wrongProvider is what the name of a provider was in the first stack files, which no
// faas-cli takes any more.
const wrongProvider = "faas"

// AddTemplateSource returns the stack file data with src added behind the sources of
// configuration.templates. As with [AddFunction] every other byte stays as it is, and what
// cannot be added safely is an error.
func AddTemplateSource(data []byte, src TemplateSource) ([]byte, error) {
	fail := func(err error) ([]byte, error) {
		return nil, fmt.Errorf("adding the source of template %s: the stack file cannot be edited safely; add it by hand: %w", src.Name, err)
	}
	r := &document.Reader{}
	v, ok := r.Document(data)
	if !ok {
		return nil, document.Join(r.Problems)
	}
	old, err := document.PlainTree(v)
	if err != nil {
		return fail(err)
	}
	e := document.NewEditor(data)
	candidates, err := e.ListCandidates(v.Node, "configuration", "templates", []document.Pair{pair("name", src.Name), pair("source", src.Source)})
	if err != nil {
		return fail(err)
	}
	edited, err := e.First(candidates, func(text []byte) error { return verifySource(old, text, src) })
	if err != nil {
		return fail(err)
	}
	return edited, nil
}

// verifySource returns an error unless data is the document old with src as the last of
// its sources.
func verifySource(old *document.Tree, data []byte, src TemplateSource) error {
	got, stack, err := reread(data)
	if err != nil {
		return err
	}
	all := stack.Configuration.Templates
	if len(all) == 0 || all[len(all)-1] != src {
		return errors.New("the source is not in the result")
	}
	list := got.At("configuration", "templates")
	if list == nil || len(list.Items) == 0 {
		return errors.New("the sources are not in the result")
	}
	list.Items = list.Items[:len(list.Items)-1]
	if !reflect.DeepEqual(got.Without("configuration", "templates"), old.Without("configuration", "templates")) {
		return errors.New("something else would change")
	}
	return nil
}

// CorrectProvider returns the stack file data with its provider called openfaas, where it
// is called faas as in the first stack files. Every other byte stays as it is; of any
// other file data comes back.
func CorrectProvider(data []byte) ([]byte, error) {
	r := &document.Reader{Raw: true}
	v, ok := r.Document(data)
	if !ok {
		return data, nil // which reading it tells
	}
	old, err := document.PlainTree(v)
	if err != nil {
		return data, nil //nolint:nilerr // as above
	}
	name := old.At("provider", "name")
	if name == nil || name.Text != wrongProvider || len(name.Items) > 0 {
		return data, nil
	}
	place := document.Value{}
	entries, _ := r.Entries(v)
	for _, e := range entries {
		below, _ := r.Entries(e.Value)
		for _, b := range below {
			if e.Key == "provider" && b.Key == "name" {
				place = b.Value
			}
		}
	}
	e := document.NewEditor(data)
	at, ok := e.Offset(place.Line, place.Column)
	if !ok {
		return nil, errors.New("correcting the provider's name: its place cannot be found")
	}
	rest := e.Text[at:]
	quote := rest[:len(rest)-len(strings.TrimLeft(rest, `"'`))]
	word, ok := strings.CutPrefix(rest[len(quote):], wrongProvider)
	if !ok {
		return nil, errors.New("correcting the provider's name: it is not written as a plain string")
	}
	name.Text = "openfaas"
	return e.First([]string{e.Text[:at] + quote + "openfaas" + word}, func(text []byte) error {
		r := &document.Reader{Raw: true}
		v, _ := r.Document(text)
		got, err := document.PlainTree(v)
		if err == nil && !reflect.DeepEqual(got, old) {
			err = errors.New("correcting the provider's name: something else would change")
		}
		return err
	})
}
