package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"fnb/images"
	"fnb/internal/plain"
	"fnb/schema"
)

// copied are the images that are meant, of functions, of folders and by their references.
func (g *globals) copied(sources []string) (all []copying, err error) {
	for _, s := range sources {
		dir, isFolder, err := folderOf(s)
		switch {
		case err != nil:
			return nil, err
		case isFolder:
			more, err := inFolder(dir)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		case strings.ContainsAny(s, "/:@"):
			all = append(all, copying{ref: s})
		default:
			fns, err := g.functionImages([]string{s})
			if err != nil {
				return nil, err
			}
			all = append(all, copying{ref: fns[0].Reference})
		}
	}
	return all, nil
}

// folderOf is the folder that an argument names, if it names one.
func folderOf(arg string) (dir string, ok bool, err error) {
	if dir, ok = strings.CutPrefix(arg, ociPrefix); ok && dir == "" {
		err = usagef("fnb copy", "%s names no folder: write oci:DIR", ociPrefix)
	}
	return dir, ok, err
}

// damaged says of what is wrong with a folder what to do with that one; for the image store of this machine another hint is true.
func damaged(err error) error {
	if !is[*images.DamagedError](err) && !is[*images.IndexError](err) {
		return err
	}
	return hint(&folderError{err}, "copy the images into a new folder where they come from, and carry that here: fnb copy SRC… oci:DIR")
}

// A folderError is what is wrong with a folder of somebody else, and not with this machine's image store.
type folderError struct{ err error }

func (e *folderError) Error() string { return e.err.Error() }

// distinct refuses two images that would have one name at their new place, where the second would take it from the first.
// In a folder each keeps its whole name.
func distinct(all []copying, to string) error {
	from := map[string]string{}
	for _, one := range all {
		target, err := below(one.ref, to)
		if err != nil {
			return err
		}
		if other, ok := from[target]; ok && other != one.ref {
			return hint(usagef("fnb copy", "%s and %s would both be %s", plain.Quoted(other), plain.Quoted(one.ref), plain.Quoted(target)), "give each a name of its own: fnb copy "+plain.ShellWord(one.ref)+" NAME")
		}
		from[target] = one.ref
	}
	return nil
}

// inFolder are all images of an OCI image layout, which has to be there.
func inFolder(dir string) (all []copying, err error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("%s%s: %w", ociPrefix, plain.Line(dir), fs.ErrNotExist)
	}
	s, err := images.Open(dir)
	if err != nil {
		return nil, damaged(err)
	}
	entries, err := s.List()
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		all = append(all, copying{ref: e.Reference, store: s})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s%s has no images", ociPrefix, plain.Line(dir))
	}
	return all, nil
}

// below is what an image is called at its new place: as that says or, below a prefix, by the last part of its name, with its
// tag or else its digest.
func below(ref, to string) (string, error) {
	if !strings.HasSuffix(to, "/") {
		return to, nil
	}
	from, err := schema.ParseImageRef(ref)
	if err != nil {
		return "", err
	}
	name := to + path.Base(from.Repository)
	if full := from.Full(); from.Tag != "" || from.Digest == "" {
		return name + ":" + full.Tag, nil
	}
	return name + "@" + from.Digest, nil
}
