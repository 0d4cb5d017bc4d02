package ci

import (
	"os"
	"strings"
)

// A System is a CI system: what it reads, and what it shows of a job.
type System struct {
	Name string
	File string // the pipeline that it reads, in a repository
	// NoMatrix is why its pipelines cannot have a job for each function; "" where
	// they can.
	NoMatrix string
	// UpdatesFile is the pipeline that proposes newer versions, in a repository; "" where it cannot, and NoUpdates is why.
	UpdatesFile, NoUpdates string

	pipeline string                        // whose template it takes; "" is its own
	runner   string                        // the label of its machines, where the template asks for one
	actions  string                        // before the name of an action that is not its own
	variable string                        // how its pipelines write a variable of the repository; "" if they have them by themselves
	login    func(host, name string) Login // where it keeps the credentials of a registry; name is the host as part of a variable's
	checkout func() (root string, ok bool) // of the job that this process is part of
	show     presentation                  // nil where it shows nothing
}

// Systems is the table of systems: whoever adds one adds it here.
func Systems() []System { return []System{github(), forgejo(), gitea(), gitlab(), tekton()} }

// SystemNamed is the system of a name; false for none.
func SystemNamed(name string) (System, bool) {
	for _, s := range Systems() {
		if s.Name == name {
			return s, true
		}
	}
	return System{}, false
}

// Names are the names of all systems.
func Names() []string {
	var names []string
	for _, s := range Systems() {
		names = append(names, s.Name)
	}
	return names
}

// A Login is how a pipeline logs in to one registry.
type Login struct{ Host, User, Password string }

// LoginFor says where a system keeps the credentials of a registry: its own
// token for its own registry, secrets named after the host for another.
func (s System) LoginFor(host string) Login {
	return s.login(host, strings.ToUpper(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, host)))
}

// LeftTo says what tells its pipelines which fnb is used, if they are written without.
func (s System) LeftTo() string {
	if s.Name == "tekton" {
		return "the parameters fnb-url and fnb-sha256 of the pipelines"
	}
	return "the variables FNB_URL and FNB_SHA256 of the repository"
}

// secretsOf are the secrets that a system without a registry of its own keeps.
func secretsOf(host, name string) Login { return Login{host, "USER_" + name, "PASSWORD_" + name} }

// inJob reads a variable that a system sets in each job, and one with the checkout.
func inJob(variable, root string) func() (string, bool) {
	return func() (string, bool) { return os.Getenv(root), os.Getenv(variable) == "true" }
}
