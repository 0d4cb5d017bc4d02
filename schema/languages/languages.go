// Package languages is what fnb knows of languages, in one table: [All]. What a template
// says of itself goes before it.
package languages

import (
	"slices"
	"strings"
)

// A Language is a programming language, or what takes its place in a template.
type Language struct {
	// Words are what stacks, templates, records and people call it, in lower case.
	Words []string
	// Template is the official template for handlers in it; "" is none.
	Template string
	// Ecosystem is the word of template.yml for its packages; "" is none.
	Ecosystem string
	// Lists are its package lists.
	Lists []List
	// Managers are the package managers of the ecosystem, as template.yml names them, the
	// most common one first.
	Managers []Manager
	// Locks are locks that no manager here writes.
	Locks []string
	// Image is the name of Docker's official image with its toolchain, and Caches the
	// folders in which that keeps what it fetched or built, for root.
	Image  string
	Caches []string
	// Glyph is one or two letters that stand for it on a store's page, and Hue the number
	// of its colour, from 1; 0 leaves it to the word.
	Glyph string
	Hue   int
}

// A List is a file that says which packages are installed.
type List struct {
	Manifest string
	Lock     string // beside it, by the same package manager; "" is none
	// Guess says that a starter's file of this name is the package list of a template that
	// names none.
	Guess bool
}

// A Manager is a program that installs packages.
type Manager struct {
	Name     string
	Manifest string   // what it reads
	Locks    []string // what it writes beside that; of several that are there, it reads the first
}

// All is the table of languages: whoever adds one adds it here.
func All() []Language {
	return []Language{
		{
			Words: []string{"go", "golang"}, Template: "go", Ecosystem: "go",
			Lists:    []List{{"go.mod", "go.sum", true}},
			Managers: []Manager{{"go", "go.mod", []string{"go.sum"}}},
			Image:    "golang", Caches: []string{"/go/pkg/mod", "/root/.cache/go-build"},
			Glyph: "Go", Hue: 1,
		},
		{
			Words: []string{"python", "python3", "py"}, Template: "python3", Ecosystem: "pypi",
			Lists: []List{{"requirements.txt", "", true}, {"pyproject.toml", "", false}, {"Pipfile", "Pipfile.lock", false}},
			Managers: []Manager{
				{"pip", "requirements.txt", nil},
				{"uv", "pyproject.toml", []string{"uv.lock"}},
				{"poetry", "pyproject.toml", []string{"poetry.lock"}},
				{"pdm", "pyproject.toml", []string{"pdm.lock"}},
				{"pylock", "pyproject.toml", []string{"pylock.toml"}},
				{"pipenv", "Pipfile", []string{"Pipfile.lock"}},
			},
			Image: "python", Caches: []string{"/root/.cache/pip"},
			Glyph: "Py", Hue: 2,
		},
		{
			Words: []string{"node", "nodejs"}, Template: "node", Ecosystem: "npm",
			Lists: []List{{"package.json", "package-lock.json", true}},
			Managers: []Manager{
				{"npm", "package.json", []string{"npm-shrinkwrap.json", "package-lock.json"}},
				{"pnpm", "package.json", []string{"pnpm-lock.yaml"}},
				{"yarn", "package.json", []string{"yarn.lock"}},
				{"bun", "package.json", []string{"bun.lock", "bun.lockb"}},
			},
			Image: "node", Caches: []string{"/root/.npm"},
			Glyph: "Js", Hue: 4,
		},
		{
			Words: []string{"deno"}, Template: "deno", Ecosystem: "deno",
			Lists:    []List{{"deno.json", "deno.lock", false}, {"deno.jsonc", "", false}},
			Managers: []Manager{{"deno", "deno.json", []string{"deno.lock"}}},
			Glyph:    "De",
		},
		{Words: []string{"bun"}, Template: "bun", Glyph: "Bn"},
		{Words: []string{"javascript", "js"}, Template: "node", Glyph: "Js", Hue: 3},
		{Words: []string{"typescript", "ts"}, Template: "typescript", Glyph: "Ts", Hue: 7},
		{
			Words: []string{"php"}, Ecosystem: "composer",
			Lists: []List{{"composer.json", "composer.lock", true}, {"php-extension.sh", "", true}},
			Glyph: "Ph", Hue: 6,
		},
		{
			Words: []string{"java", "java11"}, Template: "java", Ecosystem: "maven",
			Lists:    []List{{"build.gradle", "", true}, {"settings.gradle", "", true}, {"pom.xml", "", true}, {"build.gradle.kts", "", false}},
			Managers: []Manager{{"maven", "pom.xml", nil}},
			Image:    "maven", Caches: []string{"/root/.m2"},
			Glyph: "Jv", Hue: 5,
		},
		{
			Words: []string{"rust", "rs"}, Template: "rust", Ecosystem: "cargo",
			Lists:    []List{{"Cargo.toml", "Cargo.lock", true}},
			Managers: []Manager{{"cargo", "Cargo.toml", []string{"Cargo.lock"}}},
			Image:    "rust", Caches: []string{"/usr/local/cargo/git", "/usr/local/cargo/registry"},
			Glyph: "Rs", Hue: 8,
		},
		{
			Words: []string{"ruby", "rb"}, Ecosystem: "gem",
			Lists: []List{{"Gemfile", "Gemfile.lock", true}},
			Glyph: "Rb", Hue: 5,
		},
		{Words: []string{"elixir"}, Locks: []string{"mix.lock"}, Glyph: "El"},
		{Words: []string{"csharp", "cs", "dotnet"}, Glyph: "C#", Hue: 6},
		{Words: []string{"shell", "bash", "sh", "command"}, Template: "command", Glyph: "$_"},
		{Words: []string{"dockerfile", "docker"}, Template: "dockerfile", Glyph: "Df"},
	}
}

// A Lookup finds the language that a word names, in any case; false for none.
type Lookup func(word string) (Language, bool)

// ByWord makes the table ready for many words.
func ByWord() Lookup {
	byWord := map[string]Language{}
	for _, l := range All() {
		for _, w := range l.Words {
			byWord[w] = l
		}
	}
	return func(word string) (Language, bool) {
		l, ok := byWord[strings.ToLower(word)]
		return l, ok
	}
}

// Caches returns the cache folders of the toolchain in one of Docker's official images, by
// the image's name there; nil for another one.
func Caches(image string) []string {
	for _, l := range All() {
		if l.Image == image && image != "" {
			return l.Caches
		}
	}
	return nil
}

// ByEcosystem returns the language whose packages template.yml calls so; false for none.
func ByEcosystem(ecosystem string) (Language, bool) {
	for _, l := range All() {
		if l.Ecosystem == ecosystem && ecosystem != "" {
			return l, true
		}
	}
	return Language{}, false
}

// ManagerOf returns the package manager that writes a lock of this name, and its
// language; false for none.
func ManagerOf(lock string) (Manager, Language, bool) {
	for _, l := range All() {
		for _, m := range l.Managers {
			if slices.Contains(m.Locks, lock) {
				return m, l, true
			}
		}
	}
	return Manager{}, Language{}, false
}

// ManagerNamed returns the package manager that template.yml calls so; false for none.
func ManagerNamed(name string) (Manager, bool) {
	for _, l := range All() {
		for _, m := range l.Managers {
			if m.Name == name {
				return m, true
			}
		}
	}
	return Manager{}, false
}

// DefaultManager returns the package manager of a package list, by the names of its manifest
// and its lock, where it has one: who writes that lock, or reads that manifest; "" for none.
func DefaultManager(ecosystem, manifest, lock string) string {
	if m, _, ok := ManagerOf(lock); ok {
		return m.Name
	}
	language, _ := ByEcosystem(ecosystem)
	for _, m := range language.Managers {
		if m.Manifest == manifest {
			return m.Name
		}
	}
	return ""
}

// Locks are the names of all files in which package managers pin packages.
func Locks() []string {
	var all []string
	for _, l := range All() {
		for _, list := range l.Lists {
			if list.Lock != "" {
				all = append(all, list.Lock)
			}
		}
		for _, m := range l.Managers {
			all = append(all, m.Locks...)
		}
		all = append(all, l.Locks...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// PackageLists are the names of all files that say which packages are installed, locks
// among them.
func PackageLists() []string {
	all := Locks()
	for _, l := range All() {
		for _, list := range l.Lists {
			all = append(all, list.Manifest)
		}
	}
	return all
}
