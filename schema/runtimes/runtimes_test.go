package runtimes_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"fnb/schema/document"
	"fnb/schema/runtimes"
)

func TestRead(t *testing.T) {
	const none, word, bad = "none", "word", "bad"
	for _, tt := range []struct {
		runtime, file, text, there, want string
	}{
		{"python", ".python-version", "3.12\n", "3.13", "3.12"},
		{"python", ".python-version", "3.13\n", "3.13", "3.13"},
		{"python", ".python-version", "3\n", "3.13", "3.13"},
		{"python", ".python-version", "3.13.1", "3.13", "3.13.1"},
		{"python", ".python-version", "\xef\xbb\xbf3.12\r\n", "3.13", "3.12"},
		{"python", ".python-version", "\xff\xfe3\x00.\x001\x001\x00\r\x00\n\x00", "3.13", "3.11"},
		{"python", ".python-version", "\xfe\xff\x003\x00.\x001\x001", "3.13", "3.11"},
		{"python", ".python-version", "# ours\n\n  3.11.4  # pinned\n3.9.1\n", "3.13", "3.11.4"},
		{"python", ".python-version", "system\n3.12\n", "3.13", "3.12"},
		{"python", ".python-version", "cpython-3.12", "3.13", "3.12"},
		{"python", ".python-version", "cpython@3.12.3", "3.13", "3.12.3"},
		{"python", ".python-version", "python3.12", "3.13", "3.12"},
		{"python", ".python-version", "pypy3.10-7.3.12", "3.13", word},
		{"python", ".python-version", "3.15-dev", "3.13", word},
		{"python", ".python-version", "3.14t", "3.13", word},
		{"python", ".python-version", "", "3.13", none},
		{"python", ".python-version", "# nothing\r\n", "3.13", none},
		{"python", ".python-version", "three", "3.13", bad},
		{"python", ".python-version", "$(touch /tmp/x)", "3.13", bad},
		{"python", ".python-version", "3.13 --from=evil", "3.12", "3.13"},
		{"python", ".python-version", strings.Repeat("9", 5000), "3.13", bad},
		{"python", "pyproject.toml", "[project]\nrequires-python = '>=3.9'\n", "3.13", "3.13"},
		{"python", "pyproject.toml", "[project]\r\nrequires-python = \">=3.10,<3.14\"\r\n", "3.13", "3.13"},
		{"python", "pyproject.toml", "[project]\nrequires-python = '>=3.10,<3.13'\n", "3.13", "3.12"},
		{"python", "pyproject.toml", "[project]\nrequires-python = '<=3.12'\n", "3.13", "3.11"},
		{"python", "pyproject.toml", "[project]\nrequires-python = '>=3.14'\n", "3.13", "3.14"},
		{"python", "pyproject.toml", "[project]\nrequires-python = '>=3.99'\n", "3.13", "3.99"},
		{"python", "pyproject.toml", "[project]\nrequires-python = '~=3.11'\n", "3.13", "3.13"},
		{"python", "pyproject.toml", "[project]\nrequires-python = '~=3.11.2'\n", "3.13", "3.11"},
		{"python", "pyproject.toml", "[project]\nrequires-python = '==3.12.*'\n", "3.13", "3.12"},
		{"python", "pyproject.toml", "[project]\nrequires-python = '==3.12'\n", "3.13", "3.12"},
		{"python", "pyproject.toml", "[project]\nrequires-python = '==3.12.4'\n", "3.13", "3.12.4"},
		{"python", "pyproject.toml", "[project]\nrequires-python = '>=3.8, !=3.13.*'\n", "3.13", "3.14"},
		{"python", "pyproject.toml", "[project]\nrequires-python = '>=2.7.0, !=3.0.*, !=3.1.*, !=3.2.*, !=3.3.*'\n", "3.13", "3.13"},
		{"python", "pyproject.toml", "[project]\nrequires-python = '>=3.13.1'\n", "3.13", "3.13"},
		{"python", "pyproject.toml", "[project]\nrequires-python = '>=2.7.9,<3.8'\n", "3.13", "3.7"},
		{"python", "pyproject.toml", "[project]\nrequires-python = '<3.9,>3.13'\n", "3.13", bad},
		{"python", "pyproject.toml", "[project]\nrequires-python = 'new'\n", "3.13", bad},
		{"python", "pyproject.toml", "[tool.poetry.dependencies]\npython = '^3.11'\n", "3.13", "3.13"},
		{"python", "pyproject.toml", "[tool.poetry.dependencies]\npython = '~3.11'\n", "3.13", "3.11"},
		{"python", "pyproject.toml", "[tool.poetry.dependencies]\npython = '>=3.9,<3.11 || >=3.14'\n", "3.13", "3.14"},
		{"python", "pyproject.toml", "[project\n", "3.13", bad},
		{"python", "pyproject.toml", "[project]\nname = 'x'\n", "3.13", none},
		{"python", "Pipfile", "[requires]\npython_version = '3.11'\n", "3.13", "3.11"},
		{"python", ".tool-versions", "nodejs 22.1.0\npython 3.12.1 3.11\n", "3.13", "3.12.1"},
		{"python", ".tool-versions", "nodejs 22.1.0\n", "3.13", none},
		{"node", ".nvmrc", "v22\n", "24", "22"},
		{"node", ".nvmrc", "22", "24", "22"},
		{"node", ".nvmrc", "v22.11.0", "24", "22.11.0"},
		{"node", ".nvmrc", "v24.2.0", "24", "24.2.0"},
		{"node", ".nvmrc", "lts/*", "24", "24"},
		{"node", ".nvmrc", "lts/*", "25", "26"},
		{"node", ".nvmrc", "lts/Iron", "24", "20"},
		{"node", ".nvmrc", "lts/krypton", "24", "24"},
		{"node", ".nvmrc", "lts/nothing", "24", bad},
		{"node", ".nvmrc", "lts/", "24", bad},
		{"node", ".nvmrc", "node", "24", word},
		{"node", ".node-version", "v20.x\r\n", "24", "20"},
		{"node", ".tool-versions", "nodejs 22.1.0", "24", "22.1.0"},
		{"node", "package.json", `{"engines": {"node": "^22"}}`, "24", "22"},
		{"node", "package.json", `{"engines": {"node": ">=18"}}`, "24", "24"},
		{"node", "package.json", `{"engines": {"node": ">=18 <23"}}`, "24", "22"},
		{"node", "package.json", `{"engines": {"node": ">= 18.17.0 < 21"}}`, "24", "20"},
		{"node", "package.json", `{"engines": {"node": "18 || 20"}}`, "24", "20"},
		{"node", "package.json", `{"engines": {"node": ">=18.14.2 <22"}}`, "24", "20"},
		{"node", "package.json", `{"engines": {"node": ">=25 <26"}}`, "24", "25"},
		{"node", "package.json", `{"engines": {"node": ">=25"}}`, "24", "26"},
		{"node", ".nvmrc", "lts", "24", word},
		{"node", "package.json", `{"engines": {"node": "18.x"}}`, "24", "18"},
		{"node", "package.json", `{"engines": {"node": "18 - 20"}}`, "24", "20"},
		{"node", "package.json", `{"engines": {"node": "~24.2"}}`, "24", "24.2"},
		{"node", "package.json", `{"engines": {"node": "24.2.1"}}`, "24", "24.2.1"},
		{"node", "package.json", `{"engines": {"node": "*"}}`, "24", "24"},
		{"node", "package.json", `{"engines": {"node": ""}}`, "24", none},
		{"node", "package.json", `{"engines": {"node": "new"}}`, "24", bad},
		{"node", "package.json", `{"engines": {"node": 22}}`, "24", none},
		{"node", "package.json", `{"engines": ["node"]}`, "24", none},
		{"node", "package.json", `{"engines": {"npm": ">=9"}}`, "24", none},
		{"node", "package.json", `{"volta": {"node": "20.11.1"}, "engines": {"node": ">=18"}}`, "24", "20.11.1"},
		{"node", "package.json", `{"devEngines": {"runtime": {"name": "node", "version": "^22.4"}}}`, "24", "22"},
		{"node", "package.json", `{"devEngines": {"runtime": [{"name": "bun", "version": "^1"}, {"name": "node", "version": "26"}]}}`, "24", "26"},
		{"node", "package.json", `{`, "24", none},
		{"bun", "package.json", `{"engines": {"bun": ">=1.2"}}`, "1.3", "1.3"},
		{"bun", ".bun-version", "1.1.38", "1.3", "1.1.38"},
		{"deno", ".dvmrc", "v2.1.0\n", "2.5", "2.1.0"},
		{"go", "go.mod", "module x\n\ngo 1.23\n", "1.26", "1.26"},
		{"go", "go.mod", "module x\r\n\r\ngo 1.27.1 // ours\r\n", "1.26", "1.27"},
		{"go", "go.mod", "module x\ngo 1.24.0\ntoolchain go1.27.2\n", "1.26", "1.27"},
		{"go", "go.mod", "module x\ngo 1.27.0\ntoolchain go1.26.2\n", "1.26", "1.27"},
		{"go", "go.mod", "module x\ngo 1.26rc1\n", "1.25", "1.26"},
		{"go", "go.mod", "module x\n", "1.26", none},
		{"go", "go.mod", "module x\ngo latest\n", "1.26", none},
		{"go", ".go-version", "1.25.3", "1.26", "1.25.3"},
		{"rust", "rust-toolchain.toml", "[toolchain]\nchannel = '1.80.1'\n", "1.90", "1.80.1"},
		{"rust", "rust-toolchain.toml", "[toolchain]\nchannel = 'nightly-2026-01-01'\n", "1.90", word},
		{"rust", "rust-toolchain.toml", "[toolchain]\nchannel = 'stable'\n", "1.90", word},
		{"rust", "rust-toolchain.toml", "[toolchain]\npath = '/x'\n", "1.90", none},
		{"rust", "rust-toolchain", "1.81\n", "1.90", "1.81"},
		{"rust", "rust-toolchain", "[toolchain]\nchannel = '1.81'\n", "1.90", "1.81"},
		{"rust", "Cargo.toml", "[package]\nrust-version = '1.70'\n", "1.90", "1.90"},
		{"rust", "Cargo.toml", "[package]\nrust-version = '1.92.1'\n", "1.90", "1.92.1"},
		{"rust", "Cargo.toml", "[package]\nrust-version.workspace = true\n", "1.90", none},
		{"rust", "Cargo.toml", "[workspace.package]\nrust-version = '1.95'\n", "1.90", "1.95"},
		{"java", ".java-version", "17.0.2", "21", "17"},
		{"java", ".java-version", "temurin-21.0.2+13.0.LTS", "21", "21"},
		{"java", ".java-version", "1.8", "21", "8"},
		{"java", ".java-version", "openjdk64-17.0.2", "21", "17"},
		{"java", ".sdkmanrc", "# sdk env\njava=25.0.1-tem\n", "21", "25"},
		{"java", ".tool-versions", "java temurin-17.0.9+9", "21", "17"},
		{"java", "pom.xml", "<project><properties><maven.compiler.release>17</maven.compiler.release></properties></project>", "21", "21"},
		{"java", "pom.xml", "<project xmlns='http://maven.apache.org/POM/4.0.0'><properties><maven.compiler.release> 25 </maven.compiler.release></properties></project>", "21", "25"},
		{"java", "pom.xml", "<project><properties><maven.compiler.source>1.8</maven.compiler.source></properties></project>", "21", "21"},
		{"java", "pom.xml", "<project><properties><java.version>22</java.version><maven.compiler.release>${java.version}</maven.compiler.release></properties></project>", "21", "22"},
		{"java", "pom.xml", "<project><properties><maven.compiler.release>new</maven.compiler.release></properties></project>", "21", bad},
		{"java", "pom.xml", "<project>", "21", none},
	} {
		t.Run(tt.runtime+" "+tt.file+" "+tt.text[:min(len(tt.text), 60)], func(t *testing.T) {
			w, ok, err := runtimes.Read(tt.runtime, tt.file, []byte(tt.text))
			got := ""
			if err == nil && ok {
				got, err = w.Choose(tt.there)
			}
			var text *runtimes.TextError
			var no *runtimes.NoneError
			switch {
			case errors.As(err, &text), errors.As(err, &no), errors.As(err, new(*document.TOMLError)):
				got = bad
			case err != nil:
				t.Fatal(err)
			case !ok:
				got = none
			case w.Unversioned && got == tt.there:
				got = word
			}
			if got != tt.want {
				t.Errorf("got %s (%+v, %v), want %s", got, w, err, tt.want)
			}
		})
	}
}

// The table is sorted, has whole days, and no day that cannot be.
func TestReleases(t *testing.T) {
	for _, runtime := range []string{runtimes.Python, runtimes.Node, runtimes.Go, runtimes.Java} {
		all := runtimes.Releases(runtime)
		if len(all) < 5 {
			t.Errorf("%s has %d releases", runtime, len(all))
		}
		var before, alive string
		for _, r := range all {
			if runtimes.Nearest("0", []string{before, r.Version})[0] == r.Version && before != "" {
				t.Errorf("%s: %s comes after %s", runtime, r.Version, before)
			}
			before = r.Version
			if r.End == "" {
				alive = r.Version
				continue
			}
			end, err := time.Parse(time.DateOnly, r.End)
			if err != nil || end.Year() < 2020 || end.Year() > 2035 {
				t.Errorf("%s %s ends on %q: %v", runtime, r.Version, r.End, err)
			}
			if end.After(time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)) {
				alive = r.Version
			}
			if got := runtimes.EndOfLife(runtime, r.Version+".1"); got != r.End {
				t.Errorf("%s %s.1 ends on %q, want %q", runtime, r.Version, got, r.End)
			}
		}
		if alive == "" {
			t.Errorf("no release of %s is alive", runtime)
		}
	}
	if got := runtimes.EndOfLife(runtimes.Python, "3.1"); got != "" {
		t.Errorf("3.1 is taken for 3.1x, which ends on %s", got)
	}
	if got := runtimes.EndOfLife(runtimes.Rust, "1.90"); got != "" {
		t.Errorf("Rust ends on %s", got)
	}
}

func TestNearest(t *testing.T) {
	got := strings.Join(runtimes.Nearest("3.99", []string{"3.9", "latest", "3.13", "3.14", "3.14.1", "2.7", "3.13"}), " ")
	if want := "3.14 3.14.1 3.13 3.9 2.7"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzRead(f *testing.F) {
	for _, file := range []string{".python-version", ".tool-versions", "pyproject.toml", "package.json", "go.mod", "pom.xml", "rust-toolchain"} {
		f.Add(file, []byte("3.13\n"))
		f.Add(file, []byte("[project]\nrequires-python = '>=3.10,<3.14'\n"))
		f.Add(file, []byte(`{"engines": {"python": "18 - 20 || ^22"}}`))
	}
	f.Fuzz(func(t *testing.T, file string, data []byte) {
		w, ok, err := runtimes.Read("python", file, data)
		if err != nil || !ok {
			return
		}
		version, err := w.Choose("3.13")
		if err == nil && strings.Trim(version, "0123456789.") != "" {
			t.Errorf("%q gives the version %q", data, version)
		}
	})
}
