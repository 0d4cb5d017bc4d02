package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// ParseManifest reads the contents of a template's template.yml. The name of
// the file is only used for errors. An empty file is an empty manifest. All
// problems of the document are returned at once, each a [*FieldError], joined.
//
// Paths in the result are clean: "./src/" is "src".
func ParseManifest(file string, data []byte) (Manifest, error) {
	r := &reader{file: file}
	var m Manifest
	if v, ok := r.document(data); ok {
		r.object(v, r.manifestFields(&m))
	}
	if len(r.problems) > 0 {
		return Manifest{}, joinFieldErrors(r.problems)
	}
	return m, nil
}

func (r *reader) manifestFields(m *Manifest) fields {
	return fields{
		"language":        r.str(&m.Language, nil),
		"fprocess":        r.str(&m.FProcess, nil),
		"handler_folder":  r.localPath(&m.HandlerFolder),
		"welcome_message": r.str(&m.WelcomeMessage, nil),
		"build_options": r.list(func(v value) {
			m.BuildOptions = append(m.BuildOptions, r.buildOption(v))
		}),
		"mount_ssh": r.boolean(&m.MountSSH),

		"version": r.str(&m.Version, func(s string) error {
			if _, err := semver.StrictNewVersion(s); err != nil {
				return fmt.Errorf("%q is not a SemVer version such as 1.2.3", s)
			}
			return nil
		}),
		"description":  r.str(&m.Description, nil),
		"license":      r.str(&m.License, nil),
		"mode":         r.str(&m.Mode, checkWord("http", "streaming", "serializing", "static", "inproc")),
		"upstream_url": r.str(&m.UpstreamURL, checkUpstream),
		"watchdog": r.str(&m.Watchdog, func(s string) error {
			return checkWatchdog(s, "default", "none", "dockerfile")
		}),
		"packages": r.list(func(v value) {
			m.Packages = append(m.Packages, r.packageList(v))
		}),
		"platforms": r.platforms(&m.Platforms),
		"caches":    r.strs(&m.Caches, checkCache),
		"test":      r.test(&m.Test),
	}
}

func (r *reader) buildOption(v value) BuildOption {
	var option BuildOption
	seen := r.object(v, fields{
		"name":     r.str(&option.Name, nil),
		"packages": r.strs(&option.Packages, nil),
	})
	r.require(v, seen, "name")
	return option
}

func (r *reader) packageList(v value) PackageList {
	var list PackageList
	seen := r.object(v, fields{
		"ecosystem": r.str(&list.Ecosystem, nil),
		"manifest":  r.localPath(&list.Manifest),
		"lock":      r.localPath(&list.Lock),
	})
	r.require(v, seen, "ecosystem", "manifest")
	return list
}

func (r *reader) test(dst **TemplateTest) func(value) {
	return func(v value) {
		var test TemplateTest
		if v.node != nil {
			*dst = &test
		}
		r.object(v, fields{
			"target": r.str(&test.Target, nil),
			"request": func(v value) {
				var request TestRequest
				if v.node != nil {
					test.Request = &request
				}
				r.object(v, fields{"body": r.str(&request.Body, nil), "contains": r.str(&request.Contains, nil)})
			},
		})
	}
}

// localPath returns a function that reads a slash-separated path that stays in
// its folder.
func (r *reader) localPath(dst *string) func(value) {
	return r.str(dst, func(s string) error {
		clean := path.Clean(s)
		if !fs.ValidPath(clean) || strings.Contains(s, `\`) {
			return fmt.Errorf("%q is not a path inside the template", s)
		}
		*dst = clean
		return nil
	})
}

// checkUpstream returns an error if s is not a place where the watchdog can
// find a function: http://host:port or unix:///path.
func checkUpstream(s string) error {
	u, err := url.Parse(s)
	if err == nil {
		switch u.Scheme {
		case "http", "https":
			if u.Hostname() != "" {
				return nil
			}
		case "unix":
			if u.Host == "" && path.IsAbs(u.Path) {
				return nil
			}
		}
	}
	return fmt.Errorf("%q is neither a URL such as http://127.0.0.1:8082 nor a socket such as unix:///tmp/function.sock", s)
}

func checkCache(s string) error {
	if !path.IsAbs(s) || path.Clean(s) == "/" {
		return errors.New("a cache is an absolute path of a folder in the image")
	}
	return nil
}
