package scan

import (
	"compress/zlib"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime/debug"
	"strings"

	"fnb/sbom"
)

// program reads what a program says that it is made of: those of Go, and those of Rust that
// cargo-auditable has built. Of one that runs a language it reads which version it is.
func (f *finder) program(c *content) error {
	if c.size > maxProgram {
		return nil
	}
	var magic [4]byte
	if _, err := c.at.ReadAt(magic[:], 0); err != nil || string(magic[:]) != elf.ELFMAG {
		return nil //nolint:nilerr // a program of another kind
	}
	e, err := elf.NewFile(c.at)
	if err != nil {
		return nil //nolint:nilerr // what no system runs has nothing in it
	}
	if e.Section(".go.buildinfo") != nil {
		info, err := buildinfo.Read(c.at)
		if err != nil {
			return err
		}
		f.goProgram(c.name, info)
	}
	if s := e.Section(".dep-v0"); s != nil {
		return f.rustProgram(c.name, s)
	}
	return f.language(c, path.Base(c.name), e)
}

// GoProgram returns the modules of a program of Go, of any system, that is in no image. Its name stands for where it is.
func GoProgram(name string, program io.ReaderAt) ([]sbom.Package, error) {
	info, err := buildinfo.Read(program)
	if err != nil {
		return nil, err
	}
	f := &finder{}
	f.goProgram(name, info)
	found, err := f.result()
	return found.Packages, err
}

func (f *finder) goProgram(name string, info *debug.BuildInfo) {
	add := func(path, version string) {
		p := sbom.Package{Ecosystem: sbom.Go, Name: path, Version: strings.TrimPrefix(version, "v"), Where: []string{name}, Evidence: sbom.Compiled}
		if version == "(devel)" {
			p.Version = ""
			version = ""
		}
		p.PURL = sbom.GoPURL(path, version)
		f.add(p)
	}
	if version, ok := strings.CutPrefix(info.GoVersion, "go"); ok {
		version, _, _ = strings.Cut(version, " ")
		add("stdlib", version)
	}
	for i, m := range info.Deps {
		if m == nil || i > maxPackages {
			continue
		}
		if m.Replace != nil {
			if m.Replace.Version == "" { // a folder
				add(m.Path, "")
				continue
			}
			m = m.Replace
		}
		add(m.Path, m.Version)
	}
	if info.Main.Path != "" {
		add(info.Main.Path, info.Main.Version)
	}
}

// rustProgram reads the list of crates that cargo-auditable puts into a program.
func (f *finder) rustProgram(name string, s *elf.Section) error {
	z, err := zlib.NewReader(io.NewSectionReader(s, 0, maxText))
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(z, maxText+1))
	if err != nil {
		return err
	}
	if len(data) > maxText {
		return errors.New("its list of crates is too long")
	}
	var list struct {
		Packages []struct {
			Name, Version, Source, Kind string
			Dependencies                []int
			Root                        bool
		}
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("its list of crates: %w", err)
	}
	purl := func(i int) string {
		return sbom.PURL("cargo", "", list.Packages[i].Name, list.Packages[i].Version, nil)
	}
	for i, c := range list.Packages {
		if c.Kind == "build" || i > maxPackages {
			continue
		}
		p := sbom.Package{Ecosystem: sbom.Crates, Name: c.Name, Version: c.Version, PURL: purl(i), Where: []string{name}, Evidence: sbom.Compiled}
		for _, d := range c.Dependencies[:min(len(c.Dependencies), maxRelations)] {
			if d >= 0 && d < len(list.Packages) && list.Packages[d].Kind != "build" {
				p.DependsOn = append(p.DependsOn, purl(d))
			}
		}
		f.add(p)
	}
	return nil
}
