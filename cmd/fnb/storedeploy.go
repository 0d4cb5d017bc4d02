package main

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/schema/deploy"
)

// asDocker is the way of running a function that is a command and no manifest.
const asDocker = "docker"

// deployments are the ways of running a function elsewhere.
func deployments() []string {
	return append([]string{asDocker}, slices.Sorted(maps.Keys(deploy.Platforms()))...)
}

// describeUse writes what to type to use a function.
func describeUse(ref string, rec schema.Record) string {
	var b strings.Builder
	head := func(title, text string) { fmt.Fprintf(&b, "\n%s\n%s", title, text) }
	if rec.Image == nil {
		head("Build it and try it", fmt.Sprintf("  fnb new --from-store %[1]s\n  fnb invoke %[1]s\n", rec.Name))
		return b.String()
	}
	if rec.Built != nil && rec.Built.Git != nil && rec.Built.Git.Commit != "" {
		head("Build it", "  fnb new --from-store "+ref+"\n")
	}
	head("Try it", "  fnb store try "+ref+"\n")
	if image, err := pullReference(rec); err == nil {
		head("Pull it", "  docker pull "+image+"\n")
	}
	titles := map[string]string{asDocker: "Run it with Docker", "kubernetes": "Deploy it to Kubernetes", "knative": "Deploy it to Knative", "openfaas": "Deploy it to OpenFaaS"}
	for _, way := range deployments() {
		text, err := deployment(rec, way)
		if err != nil {
			text = "it cannot be: " + err.Error()
		}
		var lines strings.Builder
		for line := range strings.Lines(plain.Lines(text)) {
			lines.WriteString("  " + line)
		}
		title := titles[way]
		if way != asDocker && err == nil {
			title += ": fnb store show " + ref + " --as " + way + " | kubectl apply -f -"
		}
		head(title, lines.String())
	}
	return b.String()
}

// deployment is the command or the manifests that run a function.
func deployment(rec schema.Record, way string) (string, error) {
	image, err := pullReference(rec)
	if err != nil {
		return "", err
	}
	if way == asDocker {
		return dockerRun(rec, image), nil
	}
	_, name, _ := strings.Cut(rec.Name, "/")
	f := deploy.Function{Name: name, Image: image}
	if run := rec.Run; run != nil {
		f.FProcess, f.Environment, f.Secrets = run.FProcess, run.Environment, run.Secrets
		f.Labels, f.Annotations, f.ReadOnlyRoot = run.Labels, run.Annotations, run.ReadOnlyRootFilesystem
		f.Limits, f.Requests = (*schema.Resources)(run.Limits), (*schema.Resources)(run.Requests)
	}
	manifests, err := deploy.Platforms()[way](f)
	return string(manifests), err
}

// pullReference is what to pull of a function: with the digest, where the store has
// one. A list of OpenFaaS's has an image for each platform; that for machines as this
// one is taken.
func pullReference(rec schema.Record) (string, error) {
	image := rec.Image
	if image == nil {
		return "", errors.New("it has no image: it is to be built")
	}
	if image.Digest != "" {
		return image.Ref + "@" + image.Digest, nil
	}
	one, ok := image.Platforms["linux/"+runtime.GOARCH]
	if !ok {
		one = image.Platforms[rec.RunsOn()[0]]
	}
	if one.Digest != "" {
		return one.Ref + "@" + one.Digest, nil
	}
	return one.Ref, nil
}

// dockerRun is a command for a shell that runs a function.
func dockerRun(rec schema.Record, image string) string {
	words := []string{"docker", "run", "--rm", "-p", "8080:8080"}
	run := rec.Run
	if run == nil {
		run = &schema.RecordRun{}
	}
	if run.ReadOnlyRootFilesystem {
		words = append(words, "--read-only", "--tmpfs", "/tmp")
	}
	if run.FProcess != "" {
		words = append(words, "-e", "fprocess="+run.FProcess)
	}
	for _, k := range slices.Sorted(maps.Keys(run.Environment)) {
		words = append(words, "-e", k+"="+run.Environment[k])
	}
	for _, s := range run.Secrets {
		words = append(words, "-v", "./"+s+":/var/openfaas/secrets/"+s+":ro")
	}
	var b strings.Builder
	for i, w := range append(words, image) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(shellWord(w))
	}
	return b.String() + "\n"
}

// shellWord quotes a text so that a shell takes it as one word.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@,+", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
