package deploy

import (
	"slices"
	"strconv"

	"fnb/schema"
)

// A Function is what a platform has to know of a function to run it.
type Function struct {
	Name      string
	Namespace string // "" is the platform's own default
	Image     string // with a digest
	Previous  string // the image that ran before, with its digest; "" is not known
	Port      int    // where the watchdog listens; 0 is 8080

	FProcess     string            // "" is the image's
	Environment  map[string]string // may be nil
	Secrets      []string          // names of the platform's secrets, mounted at /var/openfaas/secrets
	Labels       map[string]string
	Annotations  map[string]string
	Constraints  []string // KEY=VALUE, of the machines that it may run on
	Limits       *schema.Resources
	Requests     *schema.Resources
	ReadOnlyRoot bool // with a /tmp that can be written

	// Built is what the image says of itself; nil is not known.
	Built *Built
}

// Built is what an image says of itself, where it is one of several that of the first platform.
type Built struct {
	User        string   // "" is root
	Environment []string // NAME=VALUE
	Platforms   []schema.PlatformReport
}

// A Part is what one function adds to what a platform reads.
type Part struct {
	// Notes say what of the function the platform does not take as it stands, by its key.
	Notes []string

	docs []mapping // YAML documents
	in   []section // parts of a document that all functions share
	text string    // where it is no YAML
	port int       // in the container, where the document needs one outside of it
}

// A section is an entry below a key of a document that all functions share.
type section struct {
	of    string
	entry item
}

// A Platform is something that runs functions.
type Platform struct {
	Name    string // the word for it on a command line
	Title   string // what people call it
	Apply   string // the command that what is written is given to
	Command bool   // it is a command for a shell, not manifests
	Shown   bool   // a store shows it for each of its functions
	Disk    bool   // it takes one function, as a file of fnb build --output rootfs=FILE, and no image

	// Write returns what runs a function. What the platform would refuse is an error.
	Write func(Function) (Part, error)
	// head begins a document that all functions share; nil: each has documents of its own.
	head func(project string) mapping
	// settle gives parts what they have only together; nil is nothing.
	settle func([]Part)
}

// Platforms are all platforms, in the order in which they are shown.
func Platforms() []Platform {
	const kubectl = "kubectl apply -f -"
	return []Platform{
		{Name: "docker", Title: "Docker", Write: Docker, Command: true, Shown: true},
		{Name: "openfaas", Title: "OpenFaaS", Write: OpenFaaS, Apply: kubectl, Shown: true},
		{Name: "knative", Title: "Knative", Write: Knative, Apply: kubectl, Shown: true},
		{Name: "kubernetes", Title: "Kubernetes", Write: Kubernetes, Apply: kubectl, Shown: true},
		{Name: "cloudrun", Title: "Google Cloud Run", Write: CloudRun, Apply: "gcloud run services replace -"},
		{Name: "codeengine", Title: "IBM Code Engine", Write: CodeEngine, Apply: kubectl},
		{Name: "lambda", Title: "AWS Lambda", Write: Lambda, Apply: "sam deploy --guided --template-file template.yaml", head: lambdaHead},
		{Name: "serverless", Title: "the Serverless Framework", Write: Serverless, Apply: "serverless deploy --config serverless.yml", head: serverlessHead},
		{Name: "compose", Title: "Docker Compose", Write: Compose, Apply: "docker compose -f - up -d", head: func(string) mapping { return nil }, settle: composePorts},
	}
}

// Clusters are the platforms that take manifests, of Kubernetes or another system.
func Clusters() []Platform {
	return slices.DeleteFunc(Platforms(), func(p Platform) bool { return p.Command })
}

// Shown are the platforms that a store shows for each of its functions.
func Shown() []Platform {
	return slices.DeleteFunc(Platforms(), func(p Platform) bool { return !p.Shown })
}

// Find returns the platform of a name among all.
func Find(all []Platform, name string) (Platform, bool) {
	i := slices.IndexFunc(all, func(p Platform) bool { return p.Name == name })
	if i < 0 {
		return Platform{}, false
	}
	return all[i], true
}

// Names are the words for platforms.
func Names(all []Platform) []string {
	var names []string
	for _, p := range all {
		names = append(names, p.Name)
	}
	return names
}

// Join makes what the platform reads of the parts of a project's functions: YAML documents,
// each after a line "---", one document, or commands.
func (p Platform) Join(project string, parts ...Part) ([]byte, error) {
	if p.settle != nil {
		p.settle(parts)
	}
	if p.head != nil {
		doc := p.head(project)
		for _, part := range parts {
			for _, s := range part.in {
				doc = addTo(doc, s)
			}
		}
		return document(doc)
	}
	var out []byte
	for _, part := range parts {
		raw, err := documents(part.docs...)
		if err != nil {
			return nil, err
		}
		out = append(append(out, raw...), part.text...)
	}
	return out, nil
}

// addTo adds an entry below a key of a document; an entry that is there already stays.
func addTo(doc mapping, s section) mapping {
	i := slices.IndexFunc(doc, func(it item) bool { return it.key == s.of })
	if i < 0 {
		return append(doc, item{key: s.of, value: mapping{s.entry}})
	}
	below, _ := doc[i].value.(mapping) // nothing else has sections
	if !slices.ContainsFunc(below, func(it item) bool { return it.key == s.entry.key }) {
		doc[i].value = append(below, s.entry)
	}
	return doc
}

const secretsDir = "/var/openfaas/secrets"

const usualPort = 8080

// port is where the watchdog listens: where the function's variables say so, as the watchdog reads them, or else where its image does.
func (f Function) port() int {
	value, ok := f.variable("port")
	if !ok {
		value = f.Environment["PORT"]
	}
	if n, err := strconv.Atoi(value); err == nil && n > 0 && n < 1<<16 {
		return n
	}
	if f.Port == 0 {
		return usualPort
	}
	return f.Port
}
