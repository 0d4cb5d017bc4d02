package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"

	"fnb/schema/document"
	"fnb/schema/runtimes"
	"fnb/schema/words"
)

// ParseManifest reads the contents of a template's template.yml. The name of
// the file is only used for errors. An empty file is an empty manifest. All
// problems of the document are returned at once, each a [*document.FieldError], joined.
//
// Paths in the result are clean: "./src/" is "src".
func ParseManifest(file string, data []byte) (Manifest, error) {
	r := &reader{Reader: document.Reader{File: file}}
	var m Manifest
	if v, ok := r.Document(data); ok {
		r.Object(v, r.manifestFields(&m))
	}
	if len(r.Problems) > 0 {
		return Manifest{}, document.Join(r.Problems)
	}
	return m, nil
}

func (r *reader) manifestFields(m *Manifest) document.Fields {
	return document.Fields{
		"language":        r.Str(&m.Language, nil),
		"fprocess":        r.Str(&m.FProcess, nil),
		"handler_folder":  r.localPath(&m.HandlerFolder),
		"welcome_message": r.Str(&m.WelcomeMessage, nil),
		"build_options": r.List(func(v document.Value) {
			m.BuildOptions = append(m.BuildOptions, r.buildOption(v))
		}),
		"mount_ssh": r.Boolean(&m.MountSSH),

		"version": r.Str(&m.Version, func(s string) error {
			if _, err := semver.StrictNewVersion(s); err != nil {
				return fmt.Errorf("%q is not a SemVer version such as 1.2.3", s)
			}
			return nil
		}),
		"description":  r.Str(&m.Description, nil),
		"license":      r.Str(&m.License, nil),
		"mode":         r.Str(&m.Mode, checkWord(words.Modes()...)),
		"upstream_url": r.Str(&m.UpstreamURL, checkUpstream),
		"watchdog": r.Str(&m.Watchdog, func(s string) error {
			return checkWatchdog(s, words.WatchdogDefault, words.WatchdogNone, words.WatchdogDockerfile)
		}),
		"packages": r.List(func(v document.Value) {
			m.Packages = append(m.Packages, r.packageList(v))
		}),
		"platforms": r.platforms(&m.Platforms),
		"caches":    r.Strs(&m.Caches, checkCache),
		"test":      r.test(&m.Test),
		"check":     r.Str(&m.Check, nil),
		"runtime":   r.runtime(&m.Runtime),
		"debug":     r.debug(&m.Debug),
	}
}

func (r *reader) buildOption(v document.Value) BuildOption {
	var option BuildOption
	seen := r.Object(v, document.Fields{
		"name":     r.Str(&option.Name, nil),
		"packages": r.Strs(&option.Packages, nil),
	})
	r.Require(v, seen, "name")
	return option
}

func (r *reader) packageList(v document.Value) PackageList {
	var list PackageList
	seen := r.Object(v, document.Fields{
		"ecosystem": r.Str(&list.Ecosystem, nil),
		"manifest":  r.localPath(&list.Manifest),
		"lock":      r.localPath(&list.Lock),
		"files":     r.Strs(&list.Files, checkPattern),
		"locks":     r.locks(&list.Locks),
	})
	r.Require(v, seen, "ecosystem", "manifest")
	return list
}

// locks returns a function that reads the lock of each package manager.
func (r *reader) locks(dst *map[string]string) func(document.Value) {
	return func(v document.Value) {
		entries, _ := r.Entries(v)
		for _, e := range entries {
			var file string
			r.localPath(&file)(e.Value)
			if *dst == nil {
				*dst = map[string]string{}
			}
			(*dst)[e.Key] = file
		}
	}
}

func (r *reader) runtime(dst **Runtime) func(document.Value) {
	return func(v document.Value) {
		var runtime Runtime
		if v.Node != nil {
			*dst = &runtime
		}
		seen := r.Object(v, document.Fields{
			"arg":   r.Str(&runtime.Arg, nil),
			"files": r.Strs(&runtime.Files, checkPattern),
			"least": r.Str(&runtime.Least, func(s string) error {
				if !runtimes.IsVersion(s) {
					return fmt.Errorf("%q is not a version, such as 21 or 3.9", s)
				}
				return nil
			}),
		})
		r.Require(v, seen, "arg")
	}
}

func (r *reader) debug(dst **Debug) func(document.Value) {
	return func(v document.Value) {
		var debug Debug
		if v.Node != nil {
			*dst = &debug
		}
		seen := r.Object(v, document.Fields{
			"command": r.Str(&debug.Command, nil),
			"port": r.Str(new(string), func(s string) error {
				port, err := strconv.Atoi(s)
				if err != nil || port < 1 || port > 65535 {
					return fmt.Errorf("%q is not a port from 1 to 65535", s)
				}
				debug.Port = port
				return nil
			}),
			"adapter": r.Str(&debug.Adapter, nil),
			"folder": r.Str(&debug.Folder, func(s string) error {
				if !path.IsAbs(s) || path.Clean(s) != s {
					return fmt.Errorf("%q is not an absolute path, such as /home/app/function", s)
				}
				return nil
			}),
		})
		r.Require(v, seen, "command", "port")
	}
}

// checkPattern returns an error if s is not a path inside the template, of which names may
// have "*".
func checkPattern(s string) error {
	if _, err := path.Match(s, ""); err != nil || !fs.ValidPath(s) || strings.Contains(s, `\`) {
		return fmt.Errorf("%q is not a path inside the template, such as function/requirements*.txt", s)
	}
	return nil
}

func (r *reader) test(dst **TemplateTest) func(document.Value) {
	return func(v document.Value) {
		var test TemplateTest
		if v.Node != nil {
			*dst = &test
		}
		r.Object(v, document.Fields{
			"target":  r.Str(&test.Target, nil),
			"request": r.testRequest(&test.Request),
		})
	}
}

// testRequest returns a function that reads the request of a test.
func (r *reader) testRequest(dst **TestRequest) func(document.Value) {
	return func(v document.Value) {
		var e Example
		r.Object(v, r.requestFields(&e))
		if err := checkAnswer(e); err != nil {
			r.Refuse(v, err)
		}
		if v.Node != nil {
			*dst = &TestRequest{Method: e.Method, Path: e.Path, Headers: e.Headers, Body: e.Body, Status: e.Status, Contains: e.Contains}
		}
	}
}

// localPath returns a function that reads a slash-separated path that stays in
// its folder.
func (r *reader) localPath(dst *string) func(document.Value) {
	return r.Str(dst, func(s string) error {
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
		return errors.New("a cache must be the absolute path of a folder in the image")
	}
	return nil
}
