package services

import (
	"context"
	"slices"

	"fnb/pipeline"
	"fnb/pipeline/pins"
	"fnb/schema"
	"fnb/schema/document"
	"fnb/schema/services"
)

// Pin pins the images of the services that functions use. Those that could not be looked up
// are missed.
func Pin(ctx context.Context, p *pipeline.Pipeline, fns []schema.Function) error {
	var refs []string
	for _, s := range p.Stack.ServicesOf(fns) {
		if ref, pinned := reference(s); !pinned {
			refs = append(refs, ref)
		}
	}
	slices.Sort(refs)
	return p.PinServices(ctx, slices.Compact(refs))
}

// Missed says which image of the services that functions use could not be looked up, and why;
// nil where nothing is missing.
func Missed(p *pipeline.Pipeline, fns []schema.Function) error {
	for _, s := range p.Stack.ServicesOf(fns) {
		if _, err := image(p, s); err != nil {
			return err
		}
	}
	return nil
}

// image is the image of a service with the digest that pins it.
func image(p *pipeline.Pipeline, s services.Service) (string, error) {
	ref, pinned := reference(s)
	if pinned {
		return ref, nil
	}
	if digest := p.Pins.Service(ref); digest != "" {
		return ref + "@" + digest, nil
	}
	err := p.Pins.Missed(pins.Service, ref)
	if err == nil {
		err = &pins.NotLockedError{What: "images of services", Refs: []string{ref}}
	}
	return "", failure(p, s, "image", "pinning it", err)
}

// reference is the full reference of a service's image; pinned says that it has a digest.
func reference(s services.Service) (ref string, pinned bool) {
	image, err := schema.ParseImageRef(s.Image)
	if err != nil {
		return s.Image, false // one that lacks a variable, which is an error before
	}
	return image.Exact().String(), image.Digest != ""
}

// failure is an error of a service, or of one of its keys, with its place.
func failure(p *pipeline.Pipeline, s services.Service, key, doing string, err error) error {
	place := p.Stack.PlaceOfService(s, key)
	place.Problem, place.Err = doing+": "+err.Error(), err
	return &Error{Service: s.Name, Place: place}
}

// An Error is one of a service.
type Error struct {
	Service string
	Place   document.FieldError // what the stack file says of it, and what is wrong
}

func (e *Error) Error() string { return e.Place.Error() }

// Unwrap returns the place, a [*document.FieldError].
func (e *Error) Unwrap() error { return &e.Place }
