package templates

import (
	"path"
	"slices"
)

// Locks are the files in which package managers of languages pin packages.
func Locks() []string {
	return []string{
		"go.sum", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock",
		"poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock", "Gemfile.lock", "composer.lock", "Cargo.lock", "mix.lock",
	}
}

// IsPackageList reports whether a file has the name of one that says which packages are
// installed, a lock or not.
func IsPackageList(file string) bool {
	return slices.Contains(append(Locks(), "go.mod", "package.json", "requirements.txt", "pyproject.toml", "Pipfile", "Gemfile",
		"composer.json", "Cargo.toml", "pom.xml", "build.gradle", "build.gradle.kts"), path.Base(file))
}
