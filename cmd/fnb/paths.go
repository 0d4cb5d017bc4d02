package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Folders follow the XDG base directory specification. Each variable wins over
// the folder below HOME; without either there is an error that names both.

func dataDir() (string, error)   { return xdg("XDG_DATA_HOME", ".local/share") }
func configDir() (string, error) { return xdg("XDG_CONFIG_HOME", ".config") }
func cacheDir() (string, error)  { return xdg("XDG_CACHE_HOME", ".cache") }
func stateDir() (string, error)  { return xdg("XDG_STATE_HOME", ".local/state") }

// trustFile is where fnb keeps whom it has seen as the owners of namespaces.
func trustFile() (string, error) {
	dir, err := stateDir()
	return filepath.Join(dir, "trust.json"), err
}

func xdg(variable, below string) (string, error) {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, "fnb"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil || home == "" {
		return "", fmt.Errorf("neither %s nor HOME is set: fnb has no place for its files", variable)
	}
	return filepath.Join(home, below, "fnb"), nil
}

// imagesDir is the image store: an OCI image layout for all functions of a user.
func imagesDir() (string, error) {
	dir, err := dataDir()
	return filepath.Join(dir, "images"), err
}

// socketFor is where the managed builder with the state folder root listens.
// The path is short whatever the folder's is, since a socket's path is limited
// to about 100 bytes.
func socketFor(root string) string {
	run := os.Getenv("XDG_RUNTIME_DIR")
	switch {
	case filepath.IsAbs(run):
		run = filepath.Join(run, "fnb")
	case os.Geteuid() == 0:
		run = "/run/fnb"
	default:
		run = filepath.Join(os.TempDir(), "fnb-"+strconv.Itoa(os.Geteuid()))
	}
	sum := sha256.Sum256([]byte(root))
	return filepath.Join(run, hex.EncodeToString(sum[:6]), "builder.sock")
}
