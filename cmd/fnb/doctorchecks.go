package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fnb/pipeline"
	"fnb/registry"
	"fnb/schema"
	"fnb/schema/settings"
)

// errSkipped is why a check was not made.
var errSkipped = errors.New("not asked")

func (g *globals) checkSettings() (string, error) {
	if _, err := g.config(); err != nil {
		return "", err
	}
	dir, err := configDir()
	return dir, err
}

// socketDir is where the managed builder's socket is.
func socketDir() (string, error) {
	m, err := managedBuilder(settings.Settings{})
	if err != nil {
		return "", err
	}
	return filepath.Dir(filepath.Dir(m.Socket)), nil
}

// checkWritable tries to write into a folder, or into the nearest one above it
// that is there, and leaves nothing behind.
func checkWritable(path func() (string, error)) (string, error) {
	dir, err := path()
	if err != nil {
		return "", err
	}
	there := dir
	for there != filepath.Dir(there) {
		if _, err := os.Stat(there); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		there = filepath.Dir(there)
	}
	f, err := os.CreateTemp(there, ".fnb-doctor-*")
	if err != nil {
		return "", hint(fmt.Errorf("writing to %s: %w", there, errors.Unwrap(err)), "let fnb write there: sudo chown $(id -u) "+there)
	}
	return dir, errors.Join(f.Close(), os.Remove(f.Name()))
}

// checkBuilder asks the builder that is named or runs; where fnb would start its
// own, it says whether it could.
func (g *globals) checkBuilder(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	choice, err := g.choice()
	if err != nil {
		return "", err
	}
	if address, _ := choice.Named(); address == "" && embedded {
		m, cfg, err := g.ownBuilder()
		if err != nil {
			return "", err
		}
		if st, err := m.State(); err != nil || !st.Running {
			return "fnb's own, not running; it starts when it is needed; " + stepsReach(cmp.Or(cfg.Builder.Network, settings.NetworkOwn)), errors.Join(err, builderReady(m))
		}
	}
	s, err := g.builderStatus(ctx)
	if err != nil {
		return "", err
	}
	detail := fmt.Sprintf("%s, BuildKit %s, for %s", s.Address, s.Version, strings.Join(s.Platforms, ", "))
	if reach := stepsReach(s.Network); reach != "" {
		detail += "; " + reach
	}
	return detail, nil
}

// checkStack reads the stack file. None is no problem.
func (g *globals) checkStack() (*schema.Stack, finding) {
	var stack *schema.Stack
	f := check("stack", func() (detail string, err error) {
		file, err := g.stackFile()
		if errors.Is(err, fs.ErrNotExist) && g.file == "" {
			return "no stack file here", errSkipped
		}
		if err != nil {
			return "", err
		}
		if stack, err = g.readStack(); err != nil {
			return "", err
		}
		_, err = schema.ReadLock(pipeline.LockFile(stack.File))
		return fmt.Sprintf("%s, functions: %d", relative(file), len(stack.Functions)), err
	})
	return stack, f
}

// checkRegistries asks each registry of the stack for the first of its images.
func (g *globals) checkRegistries(ctx context.Context, stack *schema.Stack) []finding {
	var out []finding
	var asked []string
	for _, fn := range stack.Functions {
		image, err := schema.ParseImageRef(fn.Image)
		if err != nil || slices.Contains(asked, image.Registry) {
			continue // fnb build says what is wrong with a reference
		}
		host := image.Registry
		asked = append(asked, host)
		out = append(out, check("registry", func() (string, error) { return g.checkRegistry(ctx, host, fn.Image) }))
	}
	return out
}

func (g *globals) checkRegistry(ctx context.Context, host, image string) (string, error) {
	if g.offline {
		return host, errSkipped
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	c, err := newRegistry(nil)
	if err != nil {
		return "", err
	}
	user, _, err := c.Credentials(ctx, host)
	if err != nil {
		return "", err
	}
	as := "without credentials"
	if user != "" {
		as = "as " + user
	}
	if _, err := c.Head(ctx, image); err != nil && !is[*registry.NotFoundError](err) {
		return "", err
	}
	return host + " answers " + as, nil
}

// checkStores reads each store that was added.
func (g *globals) checkStores(ctx context.Context) []finding {
	st, err := g.newStore()
	if err != nil {
		return []finding{check("stores", func() (string, error) { return "", err })}
	}
	all, err := st.Stores()
	if err != nil {
		return []finding{check("stores", func() (string, error) { return "", err })}
	}
	var out []finding
	for _, s := range all {
		out = append(out, check("store", func() (string, error) {
			if g.offline {
				return s.Name, errSkipped
			}
			ctx, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			_, err := st.UpdateStores(ctx, s.Name)
			return s.Name + ", " + s.URL, err
		}))
	}
	return out
}
