package target

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// A made file is made of an image once that is there.
type made struct {
	*file // receives the image
	out   *file
	make  func(image, to *os.File) error
}

// Made is a target that replaces a file in one step by what make writes into to, once the image is there. The image is a file
// beside it for as long.
func Made(path string, make func(image, to *os.File) error) (Target, error) {
	image, err := File(path)
	if err != nil {
		return nil, err
	}
	out, err := File(path)
	if err != nil {
		return nil, image.Discard(err)
	}
	return &made{file: image.(*file), out: out.(*file), make: make}, nil //nolint:forcetypeassert // as File makes them
}

func (t *made) Commit() error {
	if err := t.make(t.File, t.out.File); err != nil {
		if pe, ok := errors.AsType[*fs.PathError](err); ok && pe.Path == t.out.Name() {
			err = &WriteError{Path: t.out.path, Err: pe.Err}
		}
		return t.Discard(err)
	}
	_ = t.file.Discard(nil) // a leftover is harmless
	return t.out.Commit()
}

func (t *made) Discard(err error) error {
	return errors.Join(t.file.Discard(err), t.out.Discard(nil))
}

// A OnePlatformError says that an output has the image of one platform, and the function is for several.
type OnePlatformError struct {
	Output    string // as it was asked for
	Platforms []string
}

func (e *OnePlatformError) Error() string {
	return fmt.Sprintf("%s has the image of one platform, and the function is for %s", e.Output, strings.Join(e.Platforms, ", "))
}
