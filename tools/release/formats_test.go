package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// manifestKeys say which keys a manifest may have and what each looks like, and which it must have: what its package
// manager publishes. Keys of what is below are joined by dots, and those of lists have no number.
type manifestKeys struct {
	keys map[string]string
	must []string
}

const (
	anyURL   = `https://\S+`
	sum      = `[0-9a-f]{64}`
	semver   = `\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?`
	identity = `[^.\s\\/:*?"<>|]{1,32}(\.[^.\s\\/:*?"<>|]{1,32}){1,7}`
	tag      = `.{1,40}`
)

// wingetFormats are those of winget's manifests 1.9, by ManifestType; winget itself is not here to read them.
func wingetFormats() map[string]manifestKeys {
	head := map[string]string{"PackageIdentifier": identity, "PackageVersion": semver, "ManifestVersion": `1\.9\.0`}
	with := func(keys map[string]string) map[string]string {
		for k, v := range head {
			keys[k] = v
		}
		return keys
	}
	all := []string{"PackageIdentifier", "PackageVersion", "ManifestType", "ManifestVersion"}
	return map[string]manifestKeys{
		"version": {
			with(map[string]string{"ManifestType": "version", "DefaultLocale": `[a-z]{2}-[A-Z]{2}`}),
			append(slices.Clone(all), "DefaultLocale"),
		},
		"defaultLocale": {
			with(map[string]string{
				"ManifestType": "defaultLocale", "PackageLocale": `[a-z]{2}-[A-Z]{2}`, "Publisher": `.{2,256}`, "PackageName": `.{2,256}`,
				"PackageUrl": anyURL, "License": `.{3,512}`, "LicenseUrl": anyURL, "ShortDescription": `.{3,256}`, "Description": `(?s).{3,}`,
				"Moniker": tag, "Tags": tag,
			}),
			append(slices.Clone(all), "PackageLocale", "Publisher", "PackageName", "License", "ShortDescription"),
		},
		"installer": {
			with(map[string]string{
				"ManifestType": "installer", "ReleaseDate": `\d{4}-\d\d-\d\d.*`, "InstallerType": "zip", "NestedInstallerType": "portable",
				"NestedInstallerFiles.RelativeFilePath": `[^/\\].{0,511}`, "NestedInstallerFiles.PortableCommandAlias": tag,
				"Installers.Architecture": "x86|x64|arm|arm64|neutral", "Installers.InstallerUrl": anyURL, "Installers.InstallerSha256": sum,
			}),
			append(slices.Clone(all), "NestedInstallerFiles.RelativeFilePath", "Installers.Architecture", "Installers.InstallerUrl", "Installers.InstallerSha256"),
		},
	}
}

// scoopFormat is that of a manifest of Scoop's, which refuses every other key.
func scoopFormat() manifestKeys {
	f := manifestKeys{
		keys: map[string]string{
			"version": `[\w.+-]+`, "description": ".+", "homepage": anyURL, "license": "MIT", "bin": ".+", "notes": ".+", "checkver.github": anyURL,
			"autoupdate.hash.url": `\$(base)?url.+`,
		},
		must: []string{"version", "homepage", "license"},
	}
	for _, arch := range []string{"32bit", "64bit", "arm64"} {
		f.keys["architecture."+arch+".url"] = `https://[^\s$]+`
		f.keys["architecture."+arch+".hash"] = sum
		f.keys["autoupdate.architecture."+arch+".url"] = `https://\S*\$version\S*`
	}
	return f
}

// check reports what a document has that its format does not, and what it lacks.
func (f manifestKeys) check(t *testing.T, name string, doc any) {
	t.Helper()
	found := map[string]bool{}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, below := range v {
				walk(strings.TrimPrefix(at+"."+k, "."), below)
			}
		case []any:
			for _, below := range v {
				walk(at, below)
			}
		default:
			found[at] = true
			text := fmt.Sprint(v)
			if want, ok := f.keys[at]; !ok {
				t.Errorf("%s: nobody knows the key %s", name, at)
			} else if !regexp.MustCompile(`^(?:` + want + `)$`).MatchString(text) {
				t.Errorf("%s: %s is %q, not as %s", name, at, text, want)
			}
		}
	}
	walk("", doc)
	for _, k := range f.must {
		if !found[k] {
			t.Errorf("%s lacks %s", name, k)
		}
	}
}

// TestFormats holds that manifests have the keys that winget and Scoop publish, and no other.
func TestFormats(t *testing.T) {
	t.Parallel()
	r := packed(t, "v1.2.3", "github.com/acme/fnb", 0o600, time.Now())
	for kind, file := range map[string]string{"version": "acme.fnb.yaml", "installer": "acme.fnb.installer.yaml", "defaultLocale": "acme.fnb.locale.en-US.yaml"} {
		var doc map[string]any
		if err := yaml.Unmarshal(read(t, filepath.Join(r.manifests(), file)), &doc); err != nil {
			t.Fatal(err)
		}
		wingetFormats()[kind].check(t, file, doc)
	}
	var doc map[string]any
	if err := json.Unmarshal(read(t, filepath.Join(r.manifests(), "fnb.json")), &doc); err != nil {
		t.Fatal(err)
	}
	scoopFormat().check(t, "fnb.json", doc)
}

// published prints a JSON Schema of the catalogue that the Python package schemastore carries.
const published = `
import json, pathlib, sqlite3, sys, sysconfig
cache = pathlib.Path(sysconfig.get_path("purelib"), "schemastore", "cache.sqlite")
for (blob,) in sqlite3.connect(cache).execute("SELECT value FROM responses"):
    body = blob[blob.find(b"{", 2):]  # of a saved answer
    try:
        schema, _ = json.JSONDecoder().raw_decode(body.decode("utf-8", "replace"))
    except ValueError:
        continue
    if schema.get("$id") == sys.argv[1]:
        print(json.dumps(schema))
        break
`

// TestSchemas holds manifests to schemas that Scoop and winget have published, as far as those go: that of Scoop is older
// than arm64, and that of winget the first one, which has addresses and checksums.
func TestSchemas(t *testing.T) {
	t.Parallel()
	const python = "../cfn/venv/bin/python3" // skips the test if it is missing
	if _, err := os.Stat(python); err != nil && slices.Contains(strings.Split(os.Getenv("FNB_REQUIRE"), ","), "cfn") {
		t.Fatalf("%v: make cfn", err)
	}
	r := packed(t, "v1.2.3", "github.com/acme/fnb", 0o600, time.Now())
	for file, id := range map[string]string{"fnb.json": "http://scoop.sh/draft/schema#", "acme.fnb.installer.yaml": "https://aka.ms/winget-manifest.installer.1.0.0.schema.json"} {
		source, err := jsonschema.UnmarshalJSON(strings.NewReader(command(t, python, "-c", published, id)))
		if err != nil {
			t.Fatal(err)
		}
		compiler := jsonschema.NewCompiler()
		if err := compiler.AddResource("schema.json", source); err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := yaml.Unmarshal(read(t, filepath.Join(r.manifests(), file)), &doc); err != nil { // JSON is YAML
			t.Fatal(err)
		}
		if file == "fnb.json" {
			for _, in := range []any{doc, doc["autoupdate"]} {
				delete(in.(map[string]any)["architecture"].(map[string]any), "arm64")
			}
		}
		if err := compiler.MustCompile("schema.json").Validate(doc); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// homebrew stands for Homebrew: it knows the stanzas of a cask, and follows those of one system.
const homebrew = `
class Cask
  def initialize(os, cpu) = (@os, @cpu, @said = os, cpu, {})
  attr_reader :said
  %w[version sha256 url name desc homepage].each do |stanza|
    define_method(stanza) do |text|
      raise "#{stanza} twice" if @said[stanza]
      @said[stanza] = text
    end
  end
  %w[binary manpage zsh_completion fish_completion bash_completion].each do |stanza|
    define_method(stanza) { |path, target: nil| (@said[stanza] ||= []) << path }
  end
  def on_macos = @os == "macos" && yield
  def on_linux = @os == "linux" && yield
  def on_arm = @cpu == "arm" && yield
  def on_intel = @cpu == "intel" && yield
  def caveats = @said["caveats"] = yield
end
def cask(token, &stanzas)
  %w[macos linux].product(%w[arm intel]).each do |os, cpu|
    c = Cask.new(os, cpu)
    c.instance_eval(&stanzas)
    missing = %w[version sha256 url name desc homepage binary manpage caveats] - c.said.keys
    raise "#{os} on #{cpu} has no #{missing.join(", ")}" unless missing.empty?
    raise "desc begins with an article, or has the name" if c.said["desc"] =~ /\A(an?|the) /i || c.said["desc"] =~ /\b#{token}\b/i
    puts [token, os, cpu, c.said["sha256"], c.said["url"]].join(" ")
  end
end
load ARGV[0]
`

// TestCask has Ruby read the cask, as Homebrew does.
func TestCask(t *testing.T) {
	t.Parallel()
	r := packed(t, "v1.2.3", "github.com/acme/fnb", 0o600, time.Now())
	cask, reader := filepath.Join(r.manifests(), "fnb.rb"), filepath.Join(t.TempDir(), "homebrew.rb")
	if err := os.WriteFile(reader, []byte(homebrew), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, "ruby", "-wc", cask)
	out := command(t, "ruby", reader, cask)
	for _, p := range []string{"macos arm darwin_arm64", "macos intel darwin_amd64", "linux arm linux_arm64", "linux intel linux_amd64"} {
		f := strings.Fields(p)
		archive := "fnb_1.2.3_" + f[2] + ".tar.gz"
		if want := "fnb " + f[0] + " " + f[1] + " " + checksum(t, r, archive) + " https://github.com/acme/fnb/releases/download/v1.2.3/" + archive + "\n"; !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// checksum is that of a file of a release's page.
func checksum(t *testing.T, r *release, name string) string {
	t.Helper()
	for line := range strings.Lines(string(read(t, filepath.Join(r.page(), "checksums.txt")))) {
		if f := strings.Fields(line); f[1] == name {
			return f[0]
		}
	}
	t.Fatalf("checksums.txt has no %s", name)
	return ""
}
