// Package checkers finds programs of others that check what fnb makes, such as [Signing] and [Scanners]. The error of
// each says which target of the Makefile gets it.
package checkers

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"fnb/internal/servers"
)

// Axe returns axe-core, the script that checks whether everybody can use a page.
func Axe() (string, error) {
	file, err := of("make axe", "tools", "axe", "node_modules", "axe-core", "axe.min.js")
	if err != nil {
		return "", err
	}
	script, err := os.ReadFile(file)
	return string(script), err
}

// CloudFormation returns the path of cfn-lint, which checks templates for AWS, and its version.
func CloudFormation() (path, version string, err error) {
	if path, err = of("make cfn", "tools", "cfn", "venv", "bin", "cfn-lint"); err != nil {
		return "", "", err
	}
	found, _ := filepath.Glob(filepath.Join(path, "..", "..", "lib", "*", "site-packages", "cfn_lint-*.dist-info")) // a pattern that is right
	for _, dir := range found {
		version = strings.TrimSuffix(strings.TrimPrefix(filepath.Base(dir), "cfn_lint-"), ".dist-info")
	}
	return path, version, nil
}

// Serverless returns the folder in which Node finds the types of the Serverless Framework's configuration and TypeScript's
// compiler, and the version that the types are of.
func Serverless() (dir, version string, err error) {
	file, err := of("make serverless", "tools", "serverless", "node_modules", "@serverless", "typescript", "package.json")
	if err != nil {
		return "", "", err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", "", err
	}
	var manifest struct{ Version string }
	err = json.Unmarshal(text, &manifest)
	return filepath.Join(filepath.Dir(file), "..", ".."), manifest.Version, err
}

// BillsOfMaterials returns a Python that has the validators of SBOMs, and the program that uses them.
func BillsOfMaterials() (python, program string, err error) {
	program, err = of("make sbom", "tools", "sbom", "check.py")
	if err == nil {
		python, err = of("make sbom", "tools", "sbom", "venv", "bin", "python")
	}
	return python, program, err
}

// Sigstore returns Node, and the program with which it reads a sigstore bundle by Sigstore's own library.
func Sigstore() (node, program string, err error) {
	if _, err = of("make sigstore", "tools", "sign", "node_modules", "@sigstore", "verify", "package.json"); err != nil {
		return "", "", err
	}
	if program, err = of("make sigstore", "tools", "sign", "verify.mjs"); err == nil {
		node, err = exec.LookPath("node")
	}
	return node, program, err
}

// Signing returns the folder that has cosign and oras.
func Signing() (string, error) {
	oras, err := of("make sign", "bin", "tools", "oras")
	if err == nil {
		_, err = of("make sign", "bin", "tools", "cosign")
	}
	return filepath.Dir(oras), err
}

// Scanners returns the folder that has osv-scanner, grype and grypedb, which makes a database for grype.
func Scanners() (string, error) {
	scanner, err := of("make scanners", "bin", "tools", "osv-scanner")
	for _, name := range []string{"grype", "grypedb"} {
		if err == nil {
			_, err = of("make scanners", "bin", "tools", name)
		}
	}
	return filepath.Dir(scanner), err
}

// Syft returns the path of syft, which says what is in an image.
func Syft() (string, error) { return of("make sbom", "tools", "sbom", "venv", "bin", "syft") }

// Docker returns the folder that has dockerd, and containerd with its other programs.
func Docker() (string, error) {
	dockerd, err := of("make engines", "bin", "tools", "dockerd")
	return filepath.Dir(dockerd), err
}

// Kubernetes returns the folder that has the programs of a Kubernetes in bin, and plugins for networks in cni.
func Kubernetes() (string, error) {
	kubelet, err := of("make kubernetes", "bin", "tools", "kubernetes", "bin", "kubelet")
	return filepath.Dir(filepath.Dir(kubelet)), err
}

// of is a file of the checkout that a target of the Makefile gets.
func of(by string, names ...string) (string, error) {
	root, err := servers.Checkout()
	if err != nil {
		return "", err
	}
	file := filepath.Join(append([]string{root}, names...)...)
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is missing: %s", file, by)
	}
	return file, nil
}
