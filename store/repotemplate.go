package store

import (
	"fmt"
	"path"
	"slices"

	"fnb/internal/plain"
	"fnb/internal/spelling"
	"fnb/store/git"
	"fnb/templates"
)

// A templateFolder is a template's folder in a repository.
type templateFolder struct {
	path string // "." for the repository's root
	tree *git.Tree
}

// find finds the template in the files of a commit: at the path that was named;
// or by name in template/NAME, in NAME, or at the root; or, without a name, at the
// root or as the only one below template/.
func (w gitWant) find(root *git.Tree) (templateFolder, error) {
	if w.path != "" {
		if t, ok := templateAt(root, w.path); ok {
			return templateFolder{w.path, t}, nil
		}
		return templateFolder{}, &NotFoundError{Name: w.title(), Near: templatesBelow(root), Err: fmt.Errorf("%s is not a template in %s", w.path, w.url)}
	}
	if w.name != "" {
		for _, p := range []string{path.Join(vendorDir, w.name), w.name} {
			if t, ok := templateAt(root, p); ok {
				return templateFolder{p, t}, nil
			}
		}
		if t, ok := templateAt(root, "."); ok {
			return templateFolder{".", t}, nil
		}
		return templateFolder{}, &NotFoundError{Name: w.title(), Near: spelling.Near(w.name, templatesBelow(root)), Err: fmt.Errorf("it is not in %s", w.url)}
	}
	if t, ok := templateAt(root, "."); ok {
		return templateFolder{".", t}, nil
	}
	names := templatesBelow(root)
	if len(names) == 1 {
		p := path.Join(vendorDir, names[0])
		t, _ := templateAt(root, p)
		return templateFolder{p, t}, nil
	}
	why := fmt.Errorf("%s has no template", w.url)
	if len(names) > 1 {
		why = fmt.Errorf("%s has several: add //%s/NAME", w.url, vendorDir)
	}
	return templateFolder{}, &NotFoundError{Name: w.title(), Near: names[:min(len(names), 10)], Err: why}
}

// templateAt returns the folder p when it holds a template.
func templateAt(root *git.Tree, p string) (*git.Tree, bool) {
	t, ok := root.At(p)
	return t, ok && slices.Contains(t.Names(), templates.ManifestName)
}

// templatesBelow returns the names of the templates below template/.
func templatesBelow(root *git.Tree) []string {
	dir, ok := root.At(vendorDir)
	if !ok {
		return nil
	}
	var names []string
	for _, name := range dir.Names() {
		if _, ok := templateAt(dir, name); ok && plain.Short(name) == name {
			names = append(names, name)
		}
	}
	return names
}
