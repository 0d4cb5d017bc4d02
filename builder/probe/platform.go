package probe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"fnb/builder/containers"
)

// The checks of a platform's rules, beside those of every platform.
const (
	Config    = "config"    // it takes what the stack says of the function
	User      = "user"      // the function answers as the user that the platform gives it
	ReadOnly  = "read-only" // it answers where it can write to /tmp alone
	Port      = "port"      // it listens at the port that PORT says
	Addresses = "addresses" // it listens at all addresses, and not at 127.0.0.1 alone
	Init      = "init"      // it asks Lambda's Runtime API for its first event
	Events    = "events"    // it answers the same to whatever sends HTTP requests as events, and to other events
	Streaming = "streaming" // it answers the same where Lambda takes the answer piece by piece
	Size      = "size"      // its image is no larger than the platform takes
)

// A Platform is something that runs functions, with its rules as far as a builder can impose them. Where each is written is
// in docs/portability.md.
type Platform struct {
	Name  string // the word for it on a command line
	Title string // what people call it

	env      map[string]string
	port     int           // what PORT says; 0: it does not say
	user     string        // what it runs functions as; "" is the image's user
	readOnly bool          // /tmp alone can be written
	grace    time.Duration // from SIGTERM to SIGKILL; 0: it sends no signal
	size     int64         // of the image's files; 0 is any
	config   string        // which manifests it reads, as schema/deploy calls them; "" is none
	events   bool          // it sends events by a Runtime API, and no requests
}

// Platforms are all platforms whose rules are known.
func Platforms() []Platform {
	// No image has this one, and every builder does, a rootless one too.
	const nobodys = "54321"
	knative := func(service string) map[string]string {
		return map[string]string{"K_SERVICE": service, "K_CONFIGURATION": service, "K_REVISION": service + "-00001"}
	}
	return []Platform{
		{Name: "lambda", Title: "AWS Lambda", user: "993:990", readOnly: true, size: 10 << 30, config: "lambda", events: true, env: map[string]string{
			"AWS_LAMBDA_FUNCTION_NAME": "function", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
			"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/function", "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
			"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", "LAMBDA_TASK_ROOT": "/var/task", "LAMBDA_RUNTIME_DIR": "/var/runtime", "TZ": ":UTC",
		}},
		{Name: "cloudrun", Title: "Google Cloud Run", port: 18080, grace: 10 * time.Second, config: "cloudrun", env: knative("function")},
		{Name: "knative", Title: "Knative", port: 18080, grace: 30 * time.Second, config: "knative", env: knative("function")},
		{Name: "openfaas", Title: "OpenFaaS", user: "12000", readOnly: true, grace: 30 * time.Second, config: "openfaas"},
		{Name: "openshift", Title: "OpenShift", user: nobodys + ":0", grace: 30 * time.Second, config: "kubernetes"},
		{Name: "docker", Title: "Docker", user: "1000:1000", readOnly: true, grace: 10 * time.Second, config: "docker"},
	}
}

// PlatformsNamed are the platforms of some names; all is every one.
func PlatformsNamed(names []string) ([]Platform, error) {
	all := Platforms()
	var out []Platform
	for _, name := range names {
		at := slices.IndexFunc(all, func(p Platform) bool { return p.Name == name })
		switch {
		case name == "all":
			return all, nil
		case at < 0:
			return nil, fmt.Errorf("%q is not a platform whose rules fnb knows: it must be one of %s, all", name, strings.Join(PlatformNames(), ", "))
		case !slices.ContainsFunc(out, func(p Platform) bool { return p.Name == name }):
			out = append(out, all[at])
		}
	}
	return out, nil
}

// PlatformNames are the words for all platforms.
func PlatformNames() []string {
	var names []string
	for _, p := range Platforms() {
		names = append(names, p.Name)
	}
	return names
}

// A rule is one that a container can be started under.
type rule struct {
	check, detail string
	impose        func(*containers.Request)
}

// rules are those that a container of the platform is under.
func (p Platform) rules() []rule {
	var out []rule
	if p.user != "" {
		out = append(out, rule{User, "as " + p.user, func(r *containers.Request) { r.Service.User = p.user }})
	}
	if p.readOnly {
		out = append(out, rule{ReadOnly, "only /tmp can be written", func(r *containers.Request) { r.Service.ReadOnly = true }})
	}
	if p.port != 0 {
		port := strconv.Itoa(p.port)
		out = append(out, rule{Port, "PORT=" + port, func(r *containers.Request) { r.Env["PORT"], r.Port = port, p.port }})
	}
	return out
}
