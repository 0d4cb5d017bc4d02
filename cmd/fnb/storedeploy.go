package main

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/schema/deploy"
)

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
	for _, way := range deploy.Shown() {
		text, err := deployment(rec, way)
		if err != nil {
			text = "it cannot be: " + err.Error()
		}
		var lines strings.Builder
		for line := range strings.Lines(plain.Lines(text)) {
			lines.WriteString("  " + line)
		}
		title := "Deploy it to " + way.Title
		if way.Command {
			title = "Run it with " + way.Title
		} else if err == nil {
			title += ": fnb store show " + ref + " --as " + way.Name + " | " + way.Apply
		}
		head(title, lines.String())
	}
	return b.String()
}

// deployment is the command or the manifests that run a function.
func deployment(rec schema.Record, way deploy.Platform) (string, error) {
	image, err := pullReference(rec)
	if err != nil {
		return "", err
	}
	_, name, _ := strings.Cut(rec.Name, "/")
	f := deploy.Function{Name: name, Image: image}
	if run := rec.Run; run != nil {
		f.FProcess, f.Environment, f.Secrets = run.FProcess, run.Environment, run.Secrets
		f.Labels, f.Annotations, f.ReadOnlyRoot = run.Labels, run.Annotations, run.ReadOnlyRootFilesystem
		f.Limits, f.Requests = (*schema.Resources)(run.Limits), (*schema.Resources)(run.Requests)
	}
	part, err := way.Write(f)
	if err != nil {
		return "", err
	}
	text, err := way.Join(name, part)
	return string(text), err
}

// pullReference is what to pull of a function: with the digest, where the store has
// one. A list of OpenFaaS's has an image for each platform; that for machines as this
// one is taken.
func pullReference(rec schema.Record) (string, error) {
	image := rec.Image
	if image == nil {
		return "", errors.New("it has no image: fnb builds it")
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
