// Package inventory says what images are made of: [New] puts together what was found in an image and what
// is known of how it was made, [Image] does so for one that is at hand, and [Attached] reads what somebody
// has said of one in a registry.
package inventory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/packaging"
	"fnb/sbom"
	"fnb/sbom/locks"
	"fnb/sbom/scan"
	"fnb/schema"
	"fnb/schema/words"
)

// About is what is known of an image beside its files.
type About struct {
	Repository string
	Digest     string // of the image of the platform; "" where it is not known
	Platform   schema.Platform
	Labels     map[string]string
	Created    time.Time
	Home       string      // the folder of the function in the image
	Commit     string      // of its template's repository; "" where that is not known
	Locks      locks.List  // of the function; the zero value where they are not known
	Layers     *scan.Cache // what was found in layers before; nil remembers nothing
}

// New puts together what an image is made of.
func New(found scan.Found, a About) sbom.Document {
	d := sbom.Document{
		Subject: sbom.Subject{Name: a.Repository, Digest: a.Digest, Platform: a.Platform.String()},
		Created: a.Created.UTC(), System: found.System,
		Base:     sbom.Base{Reference: a.Labels[words.LabelBaseName], Digest: a.Labels[words.LabelBaseDigest]},
		Watchdog: watchdog(a),
		Packages: locks.Join(found.Packages, a.Locks, a.Home),
	}
	if title := a.Labels[words.LabelTemplate]; title != "" {
		d.Template = sbom.Template{Checksum: a.Labels[words.LabelTemplateChecksum], Commit: a.Commit}
		d.Template.Name, d.Template.Version, _ = strings.Cut(title, "@")
	}
	d.Sort()
	return d
}

// watchdog is what an image has before its function. One that its Dockerfile brings is among its packages.
func watchdog(a About) sbom.Watchdog {
	switch choice := a.Labels[words.LabelWatchdog]; choice {
	case "", words.WatchdogNone, words.WatchdogDockerfile:
		return sbom.Watchdog{}
	case words.WatchdogDefault:
		w := sbom.Watchdog{Name: "fwatchdog"}
		if own, err := packaging.Watchdog(); err == nil {
			w.Digest = own.Layers[a.Platform.String()]
		}
		return w
	default:
		w := sbom.Watchdog{Name: choice}
		if r, err := schema.ParseImageRef(choice); err == nil && r.Digest != "" {
			w.Name, w.Digest = strings.TrimSuffix(choice, "@"+r.Digest), r.Digest
		}
		return w
	}
}

// Image says what an image of one platform is made of, and which of its files and of the locks cannot be read. Of about it
// needs the repository, and the rest as far as the image does not say it.
func Image(ctx context.Context, img v1.Image, about About) (sbom.Document, []string, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return sbom.Document{}, nil, fmt.Errorf("reading the image's configuration: %w", err)
	}
	digest, err := img.Digest()
	if err != nil {
		return sbom.Document{}, nil, err
	}
	if about.Layers == nil {
		about.Layers = &scan.Cache{}
	}
	found, err := about.Layers.Image(ctx, img)
	if err != nil {
		return sbom.Document{}, nil, err
	}
	about.Digest, about.Labels, about.Created, about.Home = digest.String(), config.Config.Labels, config.Created.Time, config.Config.WorkingDir
	about.Platform = schema.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}
	if about.Created.IsZero() {
		about.Created = time.Unix(0, 0)
	}
	d := New(found, about)
	if d.Watchdog.Name == "fwatchdog" && !has(img, d.Watchdog.Digest) { // of another fnb
		d.Watchdog.Digest = ""
	}
	return d, slices.Concat(found.Unread, about.Locks.Unread), nil
}

// has reports whether an image has a layer.
func has(img v1.Image, digest string) bool {
	m, err := img.Manifest()
	if err != nil {
		return false
	}
	for _, l := range m.Layers {
		if l.Digest.String() == digest {
			return true
		}
	}
	return false
}
