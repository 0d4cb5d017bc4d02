package packaging

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"fnb/schema"
)

// ErrNoInit is what [Init] returns from a program that was built before its process 1 was.
var ErrNoInit = errors.New("this fnb was built without a process 1 for virtual machines: build it with make build, or install a released version")

// A NoInitError says that fnb has no process 1 for virtual machines of a platform.
type NoInitError struct{ Platform schema.Platform }

func (e *NoInitError) Error() string {
	return fmt.Sprintf("fnb has no process 1 for machines of %s; it has one for linux/amd64, linux/arm64 and linux/arm/v7", e.Platform)
}

// Init returns the program that becomes process 1 of virtual machines of a platform. Its errors are [ErrNoInit] and [*NoInitError].
func Init(p schema.Platform) ([]byte, error) {
	if p.Architecture == "arm64" && p.Variant == "v8" { // the only one
		p.Variant = ""
	}
	switch p.String() {
	case "linux/amd64", "linux/arm64", "linux/arm/v7":
	default:
		return nil, &NoInitError{Platform: p}
	}
	raw, err := embedded.ReadFile("watchdog/init/" + strings.ReplaceAll(p.String(), "/", "-") + ".gz")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoInit
	}
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
