package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// A platform is one that fnb is made for, in Go's words.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// program is what a program is called there.
func (p platform) program(name string) string {
	if p.os == "windows" {
		return name + ".exe"
	}
	return name
}

func thisPlatform() platform { return platform{runtime.GOOS, runtime.GOARCH} }

func defaultPlatforms() []string {
	return []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"}
}

// parsePlatforms reads a list with spaces or commas between.
func parsePlatforms(list string) ([]platform, error) {
	var all []platform
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' }) {
		if !slices.Contains(defaultPlatforms(), word) {
			return nil, fmt.Errorf("-platforms: fnb is not released for %q; it is for %s", word, strings.Join(defaultPlatforms(), ", "))
		}
		system, arch, _ := strings.Cut(word, "/")
		if p := (platform{system, arch}); !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("-platforms names none")
	}
	return all, nil
}

// compile makes fnb for a platform, and returns its path. What the environment says of Go's flags has no part in it.
func (r *release) compile(ctx context.Context, p platform) (string, error) {
	fmt.Fprintf(r.log, "release: compiling fnb for %s\n", p)
	path := filepath.Join(r.out, "build", p.os+"_"+p.arch, p.program("fnb"))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.version=v"+r.version, "-o", path, "./cmd/fnb")
	cmd.Dir = r.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch, "GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compiling fnb for %s: %w\n%s", p, err, out)
	}
	return path, nil
}

// extras are the files that come with fnb on every platform.
type extras struct {
	documents   []file // LICENSE, README.md, CHANGELOG.md
	man         []file // fnb.1 and those of its commands
	completions []file // by the names that shells look for
	bill        []byte // the SBOM of all programs
}

// extras reads the documents, and has fnb write its completions.
func (r *release) extras(ctx context.Context, fnb string) (*extras, error) {
	x := &extras{}
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		f, err := readFile(filepath.Join(r.root, name))
		if err != nil {
			return nil, err
		}
		x.documents = append(x.documents, f)
	}
	pages, err := filepath.Glob(filepath.Join(r.root, "docs", "man", "*.1"))
	if err != nil || len(pages) == 0 {
		return nil, fmt.Errorf("docs/man in %s has no man page: write them with: make docs", r.root)
	}
	for _, page := range pages {
		f, err := readFile(page)
		if err != nil {
			return nil, err
		}
		x.man = append(x.man, f)
	}
	for _, shell := range [][2]string{{"bash", "fnb.bash"}, {"zsh", "_fnb"}, {"fish", "fnb.fish"}, {"powershell", "fnb.ps1"}} {
		var text, said bytes.Buffer
		cmd := exec.CommandContext(ctx, fnb, "completion", shell[0])
		cmd.Stdout, cmd.Stderr = &text, &said
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("completion for %s: %w\n%s", shell[0], err, said.String())
		}
		x.completions = append(x.completions, file{name: shell[1], data: text.Bytes(), mode: 0o644})
	}
	return x, nil
}

// bill has fnb say what the programs are made of.
func (r *release) bill(ctx context.Context, programs map[platform]string) ([]byte, error) {
	args := []string{"bill", "v" + r.version, strconv.FormatInt(r.time.Unix(), 10)}
	for p, program := range programs {
		args = append(args, p.String()+"/fnb="+program)
		if p.os == "linux" {
			args = append(args, p.String()+"/fwatchdog="+r.watchdog(p))
		}
	}
	slices.Sort(args[3:])
	return r.released(ctx, args...)
}

// sign has fnb say who has made the release of which commit. Of what it says the checksums can have none.
func (r *release) sign(ctx context.Context) error {
	args := []string{"sign", "v" + r.version, r.commit, r.page()}
	if r.key != "" {
		args = append(args, r.key)
	}
	_, err := r.released(ctx, args...)
	return err
}

// released runs fnb's own program for releases.
func (r *release) released(ctx context.Context, args ...string) ([]byte, error) {
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", append([]string{"run", "-trimpath", "./internal/released"}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.root, &out, &said
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("internal/released: %w\n%s", err, said.String())
	}
	return out.Bytes(), nil
}

// readFile is a document of the checkout. Whatever its mode is there, everybody may read it.
func readFile(path string) (file, error) {
	data, err := os.ReadFile(path)
	return file{name: filepath.Base(path), data: data, mode: 0o644}, err
}
