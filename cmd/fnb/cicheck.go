package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"fnb/gitrepo"
	"fnb/internal/ci"
	"fnb/internal/lazyregexp"
	"fnb/pipeline"
	"fnb/schema"
)

var (
	sha256Hex  = lazyregexp.New(`^[0-9a-f]{64}$`)
	branchName = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
	pinnedRef  = lazyregexp.New(`^[a-z0-9][A-Za-z0-9./:_-]*@sha256:[0-9a-f]{64}$`)
	plainURL   = lazyregexp.New(`^https://[A-Za-z0-9._~:/?&=%@+,;-]+$`)
)

// check refuses what could not be written into a pipeline as it is.
func (o *ciOptions) check(system ci.System, bad *complaints) {
	o.fnb.check(bad)
	if !pinnedRef.MatchString(o.BuildKit) {
		bad.add("--buildkit %q: it must have a digest, such as %s", o.BuildKit, ci.BuildKitImage)
	}
	if !branchName.MatchString(o.Branch) {
		bad.add("--branch %q is not the name of a branch", o.Branch)
	}
	if o.Matrix && system.NoMatrix != "" {
		bad.add("--matrix: %s", system.NoMatrix)
	}
	if o.updates && system.UpdatesFile == "" {
		bad.add("--updates: %s", system.NoUpdates)
	}
	if o.updates && o.Matrix {
		bad.add("--matrix and --updates cannot be used together: one job makes one change of all functions")
	}
}

// write is the pipeline that is asked for, and its file in a repository.
func (o *ciOptions) write(p ci.Pipeline, system ci.System) (text []byte, file string, err error) {
	if o.updates {
		text, err = p.WriteUpdates(system)
		return text, system.UpdatesFile, err
	}
	text, err = p.Write(system)
	return text, system.File, err
}

// updateNotes are what is left to do for a pipeline that proposes newer versions.
func updateNotes(system ci.System, stack *schema.Stack) (notes []string) {
	if _, err := os.Stat(pipeline.LockFile(stack.File)); errors.Is(err, fs.ErrNotExist) {
		notes = append(notes, "there is no fnb.lock, so nothing is newer than it: write it with fnb lock")
	}
	if system.Name == "gitlab" {
		notes = append(notes, "the beginning of "+system.UpdatesFile+" says what is left to do: an include, a schedule and a token")
	}
	return notes
}

// checkout is the folder of the git repository that dir is in; dir where it is
// in none.
func checkout(ctx context.Context, dir string) (string, error) {
	repo, err := gitrepo.Open(ctx, dir, gitrepo.Options{})
	if errors.Is(err, gitrepo.ErrNone) || err == nil && repo.Root == "" {
		return dir, nil
	}
	if err != nil {
		return "", err
	}
	return repo.Root, nil
}

// writeNew writes a file that is not there yet, with its folders.
func writeNew(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return hint(fmt.Errorf("writing %s: it is there already", relative(file)), "write to another file with: --out FILE, or look at it with: --out -")
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// writeAll writes files that are not there yet below a folder; all of them, or none.
func writeAll(dir string, files []ci.File) (err error) {
	var made []string // files and folders
	defer func() {
		if err == nil {
			return
		}
		for _, name := range slices.Backward(made) {
			_ = os.Remove(name) // the first error is the one to report
		}
	}()
	for _, f := range files {
		file := filepath.Join(dir, filepath.FromSlash(f.Path))
		missing := []string{}
		for at := file; ; at = filepath.Dir(at) {
			if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
				break
			}
			missing = append(missing, at)
		}
		slices.Reverse(missing)
		made = append(made, missing...)
		if err := writeNew(file, f.Data); err != nil {
			return err
		}
		if err := os.Chmod(file, f.Mode); err != nil {
			return err
		}
	}
	return nil
}
