package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/rogpeppe/go-internal/testscript"
	jsonschema "github.com/santhosh-tekuri/jsonschema/v6"

	"fnb/internal/servers"
	"fnb/internal/servers/checkers"
)

// cmdValid: valid KIND FILE checks what fnb wrote for somebody else: with that
// system's own linter or types where they can be had, against a schema written
// from its reference elsewhere. It prints the version of cfn-lint and of the Serverless Framework's types, nothing if they are not there.
func cmdValid(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: valid KIND FILE")
	}
	data := []byte(ts.ReadFile(args[1]))
	var version string
	var err error
	switch args[0] {
	case "github":
		err = runChecker("actionlint", data, "-no-color", "-")
	case "forgejo", "gitea": // GitHub's syntax, but for actions by URL and labels of their own
		data = regexp.MustCompile(`uses: https://[a-z.]+/`).ReplaceAll(data, []byte("uses: "))
		err = runChecker("actionlint", data, "-no-color", "-ignore", `label "docker" is unknown`, "-")
	case "knative", "kubernetes", "cloudrun", "codeengine":
		err = runChecker("manifests", data)
	case "compose":
		err = runChecker("compose", data)
	case "spdx", "cyclonedx":
		err = runBillChecker(args[0], data)
	case "lambda":
		version, err = runCloudFormation(data)
		err = errors.Join(matchSchema("lambda", data), err)
	case "serverless":
		version, err = runServerless(ts.MkAbs("serverless.ts"), data)
		err = errors.Join(matchSchema("serverless", data), err)
	default:
		err = matchSchema(args[0], data)
	}
	if (err == nil) == neg {
		ts.Fatalf("%s: %v", args[1], err)
	}
	if args[0] == "lambda" || args[0] == "serverless" {
		_, err = fmt.Fprintln(ts.Stdout(), version)
		ts.Check(err)
	}
}

// runChecker gives a document to a program that checks it.
func runChecker(name string, data []byte, args ...string) error {
	path, err := servers.Tool(context.Background(), name)
	if err != nil {
		return err
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = bytes.NewReader(data)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// runBillChecker gives an SBOM to the validators of SPDX and CycloneDX, if they are there: FNB_REQUIRE=sbom says that they must be.
func runBillChecker(kind string, data []byte) error {
	python, program, err := checkers.BillsOfMaterials()
	if err != nil {
		if servers.Required("sbom") {
			return err
		}
		return nil
	}
	cmd := exec.Command(python, program, kind)
	cmd.Stdin = bytes.NewReader(data)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// runCloudFormation gives a template to AWS's own linter, if it is there: FNB_REQUIRE=cfn says that it must be. It returns its version.
func runCloudFormation(data []byte) (string, error) {
	path, version, err := checkers.CloudFormation()
	if err != nil {
		if servers.Required("cfn") {
			return "", err
		}
		return "", nil
	}
	cmd := exec.Command(path)
	cmd.Stdin = bytes.NewReader(data)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return version, nil
}

// runServerless holds a serverless.yml to the Serverless Framework's own types, if they are there: FNB_REQUIRE=serverless says
// that they must be. It returns their version. The file is where TypeScript's compiler finds it.
func runServerless(file string, data []byte) (string, error) {
	dir, version, err := checkers.Serverless()
	if err != nil {
		if servers.Required("serverless") {
			return "", err
		}
		return "", nil
	}
	var config any
	if err := yaml.Unmarshal(data, &config); err != nil {
		return "", err
	}
	text, err := json.Marshal(config)
	if err != nil {
		return "", err
	}
	text = fmt.Appendf(nil, "import type { AWS } from '@serverless/typescript'\nconst config: AWS = %s\nexport default config\n", text)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return "", err
	}
	paths := filepath.Join(filepath.Dir(file), "node_modules")
	if err := os.Symlink(dir, paths); err != nil {
		return "", err
	}
	defer os.Remove(paths) //nolint:errcheck // the script's folder goes
	cmd := exec.Command("node", filepath.Join(dir, "typescript", "bin", "tsc"), "--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "node", file)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return version, nil
}

// schemas is where the schemas are; testscript changes no working folder.
const schemas = "testdata/schema/"

// matchSchema checks each YAML document against testdata/schema/KIND.json.
func matchSchema(kind string, data []byte) error {
	raw, err := os.ReadFile(schemas + kind + ".json")
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(kind, doc); err != nil {
		return err
	}
	s, err := c.Compile(kind)
	if err != nil {
		return err
	}
	docs := yaml.NewDecoder(bytes.NewReader(data))
	for n := 0; ; n++ {
		var v any
		if err := docs.Decode(&v); errors.Is(err, io.EOF) {
			if n == 0 {
				return errors.New("no document")
			}
			return nil
		} else if err != nil {
			return err
		}
		// The validator knows what encoding/json gives.
		j, err := yaml.MarshalWithOptions(v, yaml.JSON())
		if err != nil {
			return err
		}
		plain, err := jsonschema.UnmarshalJSON(strings.NewReader(string(j)))
		if err != nil {
			return err
		}
		if err := s.Validate(plain); err != nil {
			return fmt.Errorf("document %d: %w", n+1, err)
		}
	}
}
