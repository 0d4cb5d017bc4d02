package gitconfig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/format/config"

	"fnb/internal/plain"
)

// A setting is one line of git's configuration.
type setting struct {
	section, sub, key string // section and key in lower case
	value             string // "true" for a key alone
}

// A Config is git's configuration of the machine, of the user and of the
// environment, in the order in which it is read. That of a repository that happens to
// be here is not part of it: whoever made that does not decide whom fnb speaks to.
type Config struct {
	settings []setting
	getenv   func(string) string
}

// A Reader reads git's configuration when it is asked for the first time.
type Reader struct {
	mu   sync.Mutex
	read *Config
}

// Config returns the configuration. Its first caller reads it for all later ones; an error
// is not kept.
func (o *Reader) Config(ctx context.Context, getenv func(string) string) (*Config, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.read != nil {
		return o.read, nil
	}
	read, err := Read(ctx, getenv)
	if err != nil {
		return nil, err
	}
	o.read = read
	return read, nil
}

// Read asks git, which knows best; where it is not installed, or too old to say
// whose each setting is, the files are read.
func Read(ctx context.Context, getenv func(string) string) (*Config, error) {
	c := &Config{getenv: getenv}
	if bin, err := exec.LookPath("git"); err == nil {
		cmd := exec.CommandContext(ctx, bin, "config", "--list", "--show-scope", "-z")
		cmd.Dir = string(filepath.Separator)
		cmd.Env = gitEnviron(getenv)
		var said bytes.Buffer
		cmd.Stderr = &said
		out, err := cmd.Output()
		switch exit, ended := errors.AsType[*exec.ExitError](err); {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil:
			c.settings, err = parseGitList(string(out))
			return c, err
		case !ended || exit.ExitCode() != usageExit: // 129 is: no such option
			return nil, fmt.Errorf("reading git's configuration: %s", plain.Short(said.String()))
		}
	}
	err := c.readFiles()
	return c, err
}

// usageExit is how git ends where it does not know an option.
const usageExit = 129

// gitEnviron is the environment for a git that is asked for its configuration.
func gitEnviron(getenv func(string) string) []string {
	var env []string
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); !strings.HasPrefix(name, "GIT_") && name != "HOME" && name != "XDG_CONFIG_HOME" {
			env = append(env, e)
		}
	}
	names := []string{"HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"}
	for i := range settingsInEnv(getenv) {
		names = append(names, fmt.Sprintf("GIT_CONFIG_KEY_%d", i), fmt.Sprintf("GIT_CONFIG_VALUE_%d", i))
	}
	for _, name := range names {
		if v := getenv(name); v != "" || strings.HasPrefix(name, "GIT_CONFIG_VALUE_") {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// settingsInEnv is how many settings are in the environment, within reason.
func settingsInEnv(getenv func(string) string) int {
	n, err := strconv.Atoi(getenv("GIT_CONFIG_COUNT"))
	if err != nil {
		return 0
	}
	return min(max(n, 0), 1000)
}

// parseGitList reads triples of a scope, and a name and value with a line's end between.
func parseGitList(out string) ([]setting, error) {
	parts := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	if out == "" {
		return nil, nil
	}
	if len(parts)%2 != 0 {
		return nil, errors.New("reading git's configuration: git's answer is damaged")
	}
	var all []setting
	for i := 0; i < len(parts); i += 2 {
		if parts[i] == "local" || parts[i] == "worktree" {
			continue
		}
		name, value, ok := strings.Cut(parts[i+1], "\n")
		if !ok {
			value = "true"
		}
		// What is included has been.
		if s, ok := settingOf(name, value); ok && s.section != "include" && s.section != "includeif" {
			all = append(all, s)
		}
	}
	return all, nil
}

// settingOf splits a name, of which the part between the outer dots may be anything.
func settingOf(name, value string) (setting, bool) {
	first, last := strings.Index(name, "."), strings.LastIndex(name, ".")
	if first < 0 {
		return setting{}, false
	}
	s := setting{section: strings.ToLower(name[:first]), key: strings.ToLower(name[last+1:]), value: value}
	if last > first {
		s.sub = name[first+1 : last]
	}
	return s, true
}

// maxIncludes is how deep files may include one another, as in git.
const maxIncludes = 10

// readFiles reads what git would.
func (c *Config) readFiles() error {
	home := c.getenv("HOME")
	var files []string
	if no := c.getenv("GIT_CONFIG_NOSYSTEM"); no == "" || !isTrue(no) {
		system := c.getenv("GIT_CONFIG_SYSTEM")
		if system == "" {
			system = "/etc/gitconfig"
		}
		files = append(files, system)
	}
	if global := c.getenv("GIT_CONFIG_GLOBAL"); global != "" {
		files = append(files, global)
	} else {
		if xdg := c.getenv("XDG_CONFIG_HOME"); xdg != "" {
			files = append(files, filepath.Join(xdg, "git", "config"))
		} else if home != "" {
			files = append(files, filepath.Join(home, ".config", "git", "config"))
		}
		if home != "" {
			files = append(files, filepath.Join(home, ".gitconfig"))
		}
	}
	for _, file := range files {
		if err := c.readFile(file, 0); err != nil {
			return err
		}
	}
	for i := range settingsInEnv(c.getenv) {
		if s, ok := settingOf(c.getenv(fmt.Sprintf("GIT_CONFIG_KEY_%d", i)), c.getenv(fmt.Sprintf("GIT_CONFIG_VALUE_%d", i))); ok {
			c.settings = append(c.settings, s)
		}
	}
	return nil
}

// readFile reads one file, and those that it includes. What includeIf names is only
// for repositories that are worked in.
func (c *Config) readFile(file string, depth int) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading git's configuration: %w", err)
	}
	var parsed config.Config
	if err := config.NewDecoder(bytes.NewReader(data)).Decode(&parsed); err != nil {
		return fmt.Errorf("reading git's configuration: %s: %w", file, plain.Error(err))
	}
	for _, section := range parsed.Sections {
		name := strings.ToLower(section.Name)
		for _, o := range section.Options {
			key := strings.ToLower(o.Key)
			if name != "include" || key != "path" {
				c.settings = append(c.settings, setting{section: name, key: key, value: o.Value})
				continue
			}
			if depth >= maxIncludes {
				return fmt.Errorf("reading git's configuration: %s includes more than %d files deep", file, maxIncludes)
			}
			if err := c.readFile(c.path(o.Value, filepath.Dir(file)), depth+1); err != nil {
				return err
			}
		}
		if name == "includeif" {
			continue
		}
		for _, sub := range section.Subsections {
			for _, o := range sub.Options {
				c.settings = append(c.settings, setting{section: name, sub: sub.Name, key: strings.ToLower(o.Key), value: o.Value})
			}
		}
	}
	return nil
}

// path is a file that a setting names.
func (c *Config) path(value, dir string) string {
	if rest, ok := strings.CutPrefix(value, "~/"); ok {
		return filepath.Join(c.getenv("HOME"), rest)
	}
	if value == "" || filepath.IsAbs(value) {
		return value
	}
	return filepath.Join(dir, value)
}

// isTrue reads a value as git reads what is true or false.
func isTrue(value string) bool {
	switch strings.ToLower(value) {
	case "true", "yes", "on":
		return true
	}
	n, err := strconv.Atoi(value)
	return err == nil && n != 0
}

// Last is the value that a key without a subsection has.
func (c *Config) Last(section, key string) (string, bool) {
	value, ok := "", false
	for _, s := range c.settings {
		if s.section == section && s.sub == "" && s.key == key {
			value, ok = s.value, true
		}
	}
	return value, ok
}

// Rewrite returns the address that stands instead of a URL, and the key that says so,
// "" for none. The longest beginning decides, and to push pushInsteadOf before insteadOf.
func (c *Config) Rewrite(url string, push bool) (address, key string) {
	find := func(key string) (setting, bool) {
		best, found := setting{}, false
		for _, s := range c.settings {
			if s.section == "url" && s.key == key && strings.HasPrefix(url, s.value) && (!found || len(s.value) > len(best.value)) {
				best, found = s, true
			}
		}
		return best, found
	}
	if push {
		if s, ok := find("pushinsteadof"); ok {
			return s.sub + url[len(s.value):], "pushInsteadOf"
		}
	}
	if s, ok := find("insteadof"); ok {
		return s.sub + url[len(s.value):], "insteadOf"
	}
	return url, ""
}

// Forbids reports whether a protocol is never to be spoken.
func (c *Config) Forbids(protocol string) bool {
	return slices.ContainsFunc(c.settings, func(s setting) bool {
		return s.section == "protocol" && s.key == "allow" && (s.sub == "" || s.sub == protocol) && s.value == "never"
	})
}
