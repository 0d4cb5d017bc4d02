package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// renovatePreset is the preset for those who have Renovate move pins.
const renovatePreset = "../../ci/renovate/fnb.json"

// renovateManager is what Renovate reads of it.
type renovateManager struct {
	Files    []string `json:"managerFilePatterns"`
	Matches  []string `json:"matchStrings"`
	Template string   `json:"datasourceTemplate"`
}

func readRenovatePreset() ([]renovateManager, error) {
	raw, err := os.ReadFile(renovatePreset)
	if err != nil {
		return nil, err
	}
	var preset struct {
		Managers []renovateManager `json:"customManagers"`
	}
	err = json.Unmarshal(raw, &preset)
	return preset.Managers, err
}

// cmdRenovate: renovate FILE prints the dependencies that Renovate's manager "regex" finds in a file with the preset: the same
// expressions by the same engine, RE2. Each is a name, a tag and a digest.
func cmdRenovate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: renovate FILE")
	}
	managers, err := readRenovatePreset()
	ts.Check(err)
	text := ts.ReadFile(args[0])
	for _, m := range managers {
		for _, file := range m.Files {
			if !regexp.MustCompile(strings.Trim(file, "/")).MatchString(args[0]) {
				ts.Fatalf("%s is not a file of %s", args[0], file)
			}
		}
		for _, expression := range m.Matches {
			found := regexp.MustCompile(expression)
			for _, one := range found.FindAllStringSubmatch(text, -1) {
				_, err := fmt.Fprintln(ts.Stdout(), one[found.SubexpIndex("depName")], one[found.SubexpIndex("currentValue")], one[found.SubexpIndex("currentDigest")])
				ts.Check(err)
			}
		}
	}
}

// TestRenovatePreset: Renovate's own schema knows each key of the preset, as far as fnb uses it.
func TestRenovatePreset(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(renovatePreset)
	if err != nil {
		t.Fatal(err)
	}
	if err := matchSchema("renovate", raw); err != nil {
		t.Error(err)
	}
	if err := matchSchema("renovate", []byte(strings.Replace(string(raw), "matchStrings", "matchString", 1))); err == nil {
		t.Error("a key that Renovate does not know is taken")
	}
}
