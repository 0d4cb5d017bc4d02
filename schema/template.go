package schema

// A Manifest is the contents of a template's template.yml: OpenFaaS's keys, and
// fnb's, which faas-cli ignores.
type Manifest struct {
	Language       string        `yaml:"language,omitempty"`
	FProcess       string        `yaml:"fprocess,omitempty"`
	HandlerFolder  string        `yaml:"handler_folder,omitempty"` // "" is "function"
	WelcomeMessage string        `yaml:"welcome_message,omitempty"`
	BuildOptions   []BuildOption `yaml:"build_options,omitempty"`
	MountSSH       bool          `yaml:"mount_ssh,omitempty"` // the build needs --ssh

	Version     string        `yaml:"version,omitempty"`
	Description string        `yaml:"description,omitempty"`
	License     string        `yaml:"license,omitempty"`
	Mode        string        `yaml:"mode,omitempty"`         // the watchdog's mode
	UpstreamURL string        `yaml:"upstream_url,omitempty"` // where the watchdog finds the function
	Watchdog    string        `yaml:"watchdog,omitempty"`     // "default", "none", "dockerfile" or an image reference; "" is found out from the Dockerfile
	Packages    []PackageList `yaml:"packages,omitempty"`
	Platforms   Platforms     `yaml:"platforms,omitempty"`
	Caches      []string      `yaml:"caches,omitempty"`
	Test        *TemplateTest `yaml:"test,omitempty"`
}

// A BuildOption is a named list of system packages that a function can ask for.
type BuildOption struct {
	Name     string   `yaml:"name"`
	Packages []string `yaml:"packages,omitempty"`
}

// A PackageList says where the dependencies of a language stand in a template.
// Paths are relative to the template's root, with slashes.
type PackageList struct {
	Ecosystem string `yaml:"ecosystem"`
	Manifest  string `yaml:"manifest"`
	Lock      string `yaml:"lock,omitempty"`
}

// A TemplateTest says how a template is tested: the stage of its Dockerfile
// that runs the handler's tests, and a request its starter handler answers.
type TemplateTest struct {
	Target  string       `yaml:"target,omitempty"`
	Request *TestRequest `yaml:"request,omitempty"`
}

// A TestRequest is a request's body and a string its answer contains.
type TestRequest struct {
	Body     string `yaml:"body,omitempty"`
	Contains string `yaml:"contains,omitempty"`
}

// A Template is what a template's folder says, under its four parts.
type Template struct {
	Name     string
	Manifest Manifest

	Dockerfile Dockerfile
	Entrypoint Entrypoint
	Handler    Starter
	Packages   Packages
}

// A Dockerfile is the first part of a template: the base images, and the steps
// of the build.
type Dockerfile struct {
	Path   string   // "Dockerfile"; "" where the handler brings it (template "dockerfile")
	Bases  []string // image references of FROM and COPY --from, as written, in order, without stages and scratch
	Stages []string // names of the stages, in order; "" for one without a name
	Args   []string // names of build args that it declares, sorted

	// BringsWatchdog is true where the image's command is a watchdog that the
	// Dockerfile copied in itself, as every OpenFaaS template does.
	BringsWatchdog bool
	// Watchdog is the image which that one is copied from, as written; "" where the
	// Dockerfile does not say.
	Watchdog string
}

// An Entrypoint is the second part: the program that calls the handler. What the
// manifest does not say is what the Dockerfile's ENV says, as it is written where build
// args decide.
type Entrypoint struct {
	FProcess    string
	Mode        string
	UpstreamURL string
	Files       []string // files of the template that are neither of another part nor documents, sorted
}

// A Starter is the third part: the handler a user starts from.
type Starter struct {
	Folder string   // slash-separated, below the template's root; "function" by default
	Files  []string // below Folder, sorted
}

// Packages is the fourth part: the dependencies, of the language and of the system.
type Packages struct {
	Lists   []PackageList
	Options []BuildOption
}
