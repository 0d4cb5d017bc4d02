package rollout

import (
	"regexp"
	"strings"
	"sync"
)

// A saying is how kubectl, or what it speaks to, says why it did not do something.
type saying struct {
	kind Kind
	text *regexp.Regexp // its first group is the subject, if it has one
}

// sayings are tried one after another.
var sayings = sync.OnceValue(func() []saying { //nolint:gochecknoglobals // constant once it is there
	say := func(kind Kind, text string) saying { return saying{kind, regexp.MustCompile(text)} }
	return []saying{
		say(NoContext, `context "([^"]+)" does not exist`),
		say(NoContext, `context was not found for specified context: (\S+)`),
		say(Conflict, `conflicts? with "([^"]+)"`),
		say(Quota, `exceeded quota: ([^\s,]+)`),
		say(Quota, `failed quota: ([^\s,:]+)`),
		say(NoNamespace, `namespaces? "([^"]+)" (?:is )?not found`),
		say(NoNamespace, `(?:unable to find|namespace not found|invalid) namespace:? "?([-a-z0-9]+)"?`),
		say(Admission, `admission webhook "([^"]+)" denied`),
		say(Admission, `ValidatingAdmissionPolicy '([^']+)'`),
		say(Admission, `violates (PodSecurity) `),
		say(Credentials, `(?:You must be logged in to the server|Unauthorized|provide credentials)`),
		say(Forbidden, `cannot (\w+ resource "[\w./-]+"(?: in API group "[\w.-]*")?)`), // it is typed
		say(Forbidden, `\(Forbidden\)|is forbidden`),
		say(NoResource, `no matches for kind "([^"]+)" in version`),
		say(NoResource, `doesn't have a resource type "([^"]+)"`),
		say(Unreachable, `The connection to the server (\S+) was refused`),
		say(Unreachable, `(?:dial tcp|lookup) (\S+):`),
		say(Unreachable, `etcdserver: (?:request timed out|leader changed)|unable to (?:handle the request|return a response in the time allotted)|client connection lost`),
		say(Unreachable, `Unable to connect to the server|Client\.Timeout exceeded|connection refused|does not answer in time`),
		say(Pull, `(?:unable to pull image|cannot pull image|[Pp]ull access denied|failed to resolve reference) ?"?(\S*?)"?(?:[\s,:]|$)`),
	}
})

// Cause is why something was not done, by what kubectl or an API server said of it.
func Cause(text string) (kind Kind, subject string) {
	for _, s := range sayings() {
		if m := s.text.FindStringSubmatch(text); m != nil {
			if len(m) > 1 {
				subject = m[1]
			}
			if s.kind == Forbidden {
				subject = right(subject)
			}
			return s.kind, subject
		}
	}
	return Other, ""
}

// right is what one may not do, as kubectl auth can-i takes it: patch deployments.apps.
func right(said string) string {
	words := strings.Fields(strings.NewReplacer(`"`, "", "in API group", "").Replace(said))
	switch len(words) {
	case 3: // verb, "resource", resource
		return words[0] + " " + words[2]
	case 4:
		return words[0] + " " + words[2] + "." + words[3]
	}
	return ""
}
