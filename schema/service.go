package schema

import (
	"slices"

	"fnb/schema/document"
	"fnb/schema/services"
)

// A FunctionRun is what a function is given where it runs on this machine.
type FunctionRun struct {
	Reach    []string `yaml:"reach,omitempty"`    // [NAME[:PORT]=]HOST:PORT of this machine's network that it may connect to
	Services []string `yaml:"services,omitempty"` // names of services that it reaches
}

// ServicesOf are the services that functions use, in the order of the stack file.
func (s *Stack) ServicesOf(fns []Function) []services.Service {
	var used []services.Service
	for _, service := range s.Services {
		if slices.ContainsFunc(fns, func(fn Function) bool { return fn.Uses(service.Name) }) {
			used = append(used, service)
		}
	}
	return used
}

// PlaceOfService is where the file says something of a service, by a key of it, or where the
// service begins.
func (s *Stack) PlaceOfService(service services.Service, key string) document.FieldError {
	field := document.Below("services", service.Name)
	place := document.FieldError{File: s.File, Line: service.Line, Field: field}
	if key != "" {
		place.Field = document.Below(field, key)
	}
	if at, ok := s.positions[place.Field]; ok {
		place.Line, place.Column = at.Line, at.Column
	}
	return place
}

// Uses reports whether a function reaches a service.
func (f Function) Uses(service string) bool {
	return service != "" && f.Run != nil && slices.Contains(f.Run.Services, service)
}

// ServiceEnvironment returns the variables of a service, as [Function.ReadEnvironment] does.
func (s *Stack) ServiceEnvironment(service services.Service, reach Reach) (map[string]string, error) {
	return readEnvironment(service.Environment, service.EnvironmentFile, reach)
}
