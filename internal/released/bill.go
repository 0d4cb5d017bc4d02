package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"fnb/sbom"
	"fnb/sbom/scan"
)

// bill is the SBOM of the programs of a release: NAME=FILE each, such as linux/amd64/fnb=dist/build/linux_amd64/fnb. The
// epoch is the time of the release.
func bill(version, epoch string, programs []string) ([]byte, error) {
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the time %q is not a number of seconds", epoch)
	}
	d := sbom.Document{Subject: sbom.Subject{Name: "fnb", Version: version}, Created: time.Unix(seconds, 0)}
	for _, p := range programs {
		name, file, ok := strings.Cut(p, "=")
		if !ok {
			return nil, fmt.Errorf("%s: a program is NAME=FILE", p)
		}
		found, err := modules(name, file)
		if err != nil {
			return nil, err
		}
		d.Packages = append(d.Packages, found...)
	}
	return d.SPDX()
}

func modules(name, file string) (_ []sbom.Package, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	found, err := scan.GoProgram(name, f)
	if err != nil {
		return nil, fmt.Errorf("reading what %s is made of: %w", file, err)
	}
	return found, nil
}
