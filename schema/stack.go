package schema

import (
	"fnb/schema/document"
	"fnb/schema/services"
)

// A Stack is the functions a project builds, as its stack file says, after
// environment substitution. The format is OpenFaaS's, with fnb's additions.
type Stack struct {
	// File is the absolute path the stack was read from. Paths in a stack are
	// relative to its folder.
	File string `yaml:"-" json:"-"`

	Version       string             `yaml:"version,omitempty"`
	Provider      Provider           `yaml:"provider,omitempty"`
	Functions     []Function         `yaml:"functions"`          // a mapping in the file; file order here
	Services      []services.Service `yaml:"services,omitempty"` // a mapping in the file; file order here
	Configuration Configuration      `yaml:"configuration,omitempty"`

	unset     []unsetValue
	positions map[string]document.Spot // of the texts of the file, by their fields
}

// A Provider is where OpenFaaS deploys a stack to. fnb keeps it and does not use it.
type Provider struct {
	Name    string `yaml:"name,omitempty"`
	Gateway string `yaml:"gateway,omitempty"`
}

// A Function is one entry of a stack.
type Function struct {
	// Name is the function's key in the stack file; see [ValidateFunctionName].
	Name string `yaml:"-" json:"-"`
	// Line is where the function starts in the stack file, from 1.
	Line int `yaml:"-" json:"-"`

	Lang         string            `yaml:"lang,omitempty"`    // template reference
	Handler      string            `yaml:"handler,omitempty"` // folder, relative to the stack file
	Image        string            `yaml:"image,omitempty"`
	SkipBuild    bool              `yaml:"skip_build,omitempty"`
	BuildOptions []string          `yaml:"build_options,omitempty"`
	BuildArgs    map[string]string `yaml:"build_args,omitempty"`
	BuildSecrets map[string]string `yaml:"build_secrets,omitempty"` // id to file, relative to the stack file
	Platforms    Platforms         `yaml:"platforms,omitempty"`
	Watchdog     string            `yaml:"watchdog,omitempty"` // "default", "none" or an image reference; "" is the template's

	// What follows concerns the function when it runs; FProcess also goes into
	// the image.
	FProcess               string            `yaml:"fprocess,omitempty"`
	Environment            map[string]string `yaml:"environment,omitempty"`
	EnvironmentFile        []string          `yaml:"environment_file,omitempty"`
	Secrets                []string          `yaml:"secrets,omitempty"`
	Constraints            []string          `yaml:"constraints,omitempty"`
	Labels                 map[string]string `yaml:"labels,omitempty"`
	Annotations            map[string]string `yaml:"annotations,omitempty"`
	Limits                 *Resources        `yaml:"limits,omitempty"`
	Requests               *Resources        `yaml:"requests,omitempty"`
	ReadOnlyRootFilesystem bool              `yaml:"readonly_root_filesystem,omitempty"`
	Namespace              string            `yaml:"namespace,omitempty"`

	// Test is what fnb test does with it; nil is what the template says.
	Test *FunctionTest `yaml:"test,omitempty"`
	// Run is what it is given by fnb run, invoke and test; nil is nothing.
	Run *FunctionRun `yaml:"run,omitempty"`
}

// A FunctionTest says how a function is tested where that is not as its template says.
type FunctionTest struct {
	Target  string       `yaml:"target,omitempty"`  // stage of the Dockerfile that runs the handler's tests
	Skip    []string     `yaml:"skip,omitempty"`    // checks of the contract test that are left out
	Request *TestRequest `yaml:"request,omitempty"` // in place of the template's
}

// Resources are the memory and CPU of a running function, in Kubernetes' units.
type Resources struct {
	Memory string `yaml:"memory,omitempty"`
	CPU    string `yaml:"cpu,omitempty"`
}

// A Configuration is the part of a stack that concerns all its functions.
type Configuration struct {
	Templates []TemplateSource `yaml:"templates,omitempty"`
	Copy      []string         `yaml:"copy,omitempty"` // paths copied into every handler, relative to the stack file
}

// A TemplateSource names where a template comes from. A template named here is
// never looked up anywhere else.
type TemplateSource struct {
	Name   string `yaml:"name"`
	Source string `yaml:"source,omitempty"` // git URL with optional #ref, or a folder
}
