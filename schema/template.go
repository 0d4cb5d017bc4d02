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
	Check       string        `yaml:"check,omitempty"` // stage of the Dockerfile that is made beside the image; if it cannot be, there is no image
	Runtime     *Runtime      `yaml:"runtime,omitempty"`
	Debug       *Debug        `yaml:"debug,omitempty"`
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
	// Files are patterns of further files that installing needs, where the manifest does
	// not name them itself; "*" is any part of a name, and no slash.
	Files []string `yaml:"files,omitempty"`
	// Locks are the locks of other package managers that the template's steps can use, by
	// the manager's name, such as "uv".
	Locks map[string]string `yaml:"locks,omitempty"`
}

// Separate reports whether the template's steps install from the folder packages, which a
// build context has if the list says of which files it consists.
func (l PackageList) Separate() bool { return len(l.Files) > 0 || len(l.Locks) > 0 }

// A Runtime says where the version of the language's runtime comes from.
type Runtime struct {
	Arg   string   `yaml:"arg"`             // the Dockerfile's build arg that takes it
	Files []string `yaml:"files,omitempty"` // of the handler, below its folder; the first that names a version decides
	Least string   `yaml:"least,omitempty"` // the oldest version on which the template works; a file that asks for an older one gets the template's
}

// A Debug says how a function is started under a debugger. If the Dockerfile has a stage debug,
// the image for the debugger is made of that.
type Debug struct {
	Command string `yaml:"command"`           // in place of fprocess
	Port    int    `yaml:"port"`              // of loopback, where the debugger listens
	Adapter string `yaml:"adapter,omitempty"` // what an editor calls it: "debugpy", "delve", "node", "bun", "jdwp"
	// Folder is where the debugger says that the handler's files are, absolute; "" is the
	// handler's folder below the image's working directory.
	Folder string `yaml:"folder,omitempty"`
}

// A TemplateTest says how a template is tested: the stage of its Dockerfile
// that runs the handler's tests, and a request its starter handler answers.
type TemplateTest struct {
	Target  string       `yaml:"target,omitempty"`
	Request *TestRequest `yaml:"request,omitempty"`
}

// A TestRequest is the request of the contract test, and what its answer must be.
type TestRequest struct {
	Method   string            `yaml:"method,omitempty"`  // "" is POST
	Path     string            `yaml:"path,omitempty"`    // with a query where there is one; "" is /
	Headers  map[string]string `yaml:"headers,omitempty"` // a body without Content-Type is text/plain
	Body     string            `yaml:"body,omitempty"`
	Status   int               `yaml:"status,omitempty"`   // of the answer; 0 is any under 400
	Contains string            `yaml:"contains,omitempty"` // a part of the answer
}

// Example is the request as one of those that a function's author gives.
func (t TestRequest) Example() Example {
	return Example{Method: t.Method, Path: t.Path, Headers: t.Headers, Body: t.Body, Status: t.Status, Contains: t.Contains}
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
