package records

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/store/git"
)

// listVersion is the format of functions.json that is written; any 0.x is read.
const listVersion = "0.2.1"

// An openFaaSFunctions is OpenFaaS' functions.json.
type openFaaSFunctions struct {
	Version   string          `json:"version"`
	Functions json.RawMessage `json:"functions"`
}

// An OpenFaaSFunction is one entry of functions.json, with every field.
type OpenFaaSFunction struct {
	Icon                   string            `json:"icon"`
	Author                 string            `json:"author,omitempty"`
	Title                  string            `json:"title"`
	Description            string            `json:"description"`
	Name                   string            `json:"name"`
	FProcess               string            `json:"fprocess"`
	Network                string            `json:"network,omitempty"` // of Docker Swarm, of no use
	RepoURL                string            `json:"repo_url"`
	ReadOnlyRootFilesystem bool              `json:"readOnlyRootFilesystem"`
	Environment            map[string]string `json:"environment,omitempty"`
	Labels                 map[string]string `json:"labels,omitempty"`
	Annotations            map[string]string `json:"annotations,omitempty"`
	Images                 map[string]string `json:"images"` // by x86_64, arm64 or armhf
}

// openFaaSPlatforms are OpenFaaS' names of platforms.
func openFaaSPlatforms() map[string]string {
	return map[string]string{"linux/amd64": "x86_64", "linux/arm64": "arm64", "linux/arm/v7": "armhf"}
}

// parseFunctionList reads functions.json: each entry is a package of the namespace
// ns, without versions.
func parseFunctionList(url, ns string, data []byte) ([]StoredPackage, []Problem, error) {
	var list openFaaSFunctions
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, nil, &git.UnreachableError{URL: url, Err: fmt.Errorf("it is not a list of functions: %w", plain.Error(err))}
	}
	if !strings.HasPrefix(list.Version, "0.") {
		return nil, nil, &git.UnreachableError{URL: url, Err: fmt.Errorf("it is a list of functions in the format %q, and this fnb reads 0.2", plain.Short(list.Version))}
	}
	var entries []json.RawMessage
	if list.Functions != nil {
		var err error
		if entries, err = listEntries(url, "functions", list.Functions); err != nil {
			return nil, nil, err
		}
	}
	byName := map[string]StoredPackage{}
	var problems []Problem
	for i, raw := range entries {
		var e OpenFaaSFunction
		err := json.Unmarshal(raw, &e)
		at := fmt.Sprintf("entry %d (%s)", i+1, plain.Short(e.Name))
		var rec schema.Record
		if err == nil {
			rec, err = e.record(ns)
		}
		if _, ok := byName[rec.Name]; ok && err == nil {
			err = errors.New("it is there twice; the first one counts")
		}
		if err != nil {
			problems = append(problems, Problem{at, plain.Error(err)})
			continue
		}
		byName[rec.Name] = StoredPackage{Name: rec.Name, Versions: []StoredVersion{{Record: rec}}}
	}
	var packs []StoredPackage
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		packs = append(packs, byName[name])
	}
	return packs, problems, nil
}

// record is the entry as a record. It has no version, and its images no digests
// but those that the list names.
func (e OpenFaaSFunction) record(ns string) (schema.Record, error) {
	rec := schema.Record{
		V: schema.RecordVersion, Kind: schema.KindFunction, Name: ns + "/" + strings.ToLower(strings.ReplaceAll(e.Name, "_", "-")),
		Title: e.Title, Description: e.Description, Author: e.Author, Image: &schema.RecordImage{Platforms: map[string]schema.PlatformImage{}},
		Run: &schema.RecordRun{
			FProcess: e.FProcess, Environment: e.Environment, Labels: e.Labels, Annotations: e.Annotations,
			ReadOnlyRootFilesystem: e.ReadOnlyRootFilesystem,
		},
	}
	if schema.ValidateIcon(e.Icon) == nil {
		rec.Icon = e.Icon
	}
	if ref, err := schema.ParseTemplateRef(e.RepoURL); err == nil && ref.Kind == schema.RefGit {
		rec.Built = &schema.RecordBuilt{Git: &schema.GitSource{URL: ref.URL, Path: ref.Path, Ref: ref.Ref}}
	}
	for _, key := range slices.Sorted(maps.Keys(e.Images)) {
		p, err := schema.ParsePlatform(key)
		if err != nil {
			return rec, err
		}
		repository, digest, _ := strings.Cut(e.Images[key], "@")
		if err := schema.ValidateImage(repository); err != nil {
			return rec, err
		}
		rec.Image.Platforms[p.String()] = schema.PlatformImage{Ref: repository, Digest: digest}
		if rec.Image.Ref == "" || p.String() == "linux/amd64" {
			rec.Image.Ref = repository
		}
	}
	if len(rec.Image.Platforms) == 0 {
		return rec, errors.New("it has no images")
	}
	return rec, errors.Join(schema.ValidatePackageName(rec.Name), schema.ValidateRun(*rec.Run))
}

// flatNames gives functions, whose names are in all, the names that they have in a list
// without namespaces: their own, and one that several have with the namespace before it.
func flatNames(all []string) map[string]string {
	count, taken, flat := map[string]int{}, map[string]bool{}, map[string]string{}
	for _, full := range all {
		_, own, _ := strings.Cut(full, "/")
		count[own]++
		taken[own] = true
		flat[full] = own
	}
	for _, full := range all {
		if count[flat[full]] == 1 {
			continue
		}
		long := strings.ReplaceAll(full, "/", "-")
		name := long
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s-%d", long, n)
		}
		taken[name] = true
		flat[full] = name
	}
	return flat
}

// functionForOpenFaaS is what faas-cli reads of a function; without images it is none
// for OpenFaaS.
func functionForOpenFaaS(rec schema.Record, name string) OpenFaaSFunction {
	e := OpenFaaSFunction{
		Icon: rec.Icon, Author: rec.Author, Title: cmp.Or(rec.Title, name), Description: rec.Description, Name: name, Images: map[string]string{},
	}
	if run := rec.Run; run != nil {
		e.FProcess, e.ReadOnlyRootFilesystem = run.FProcess, run.ReadOnlyRootFilesystem
		e.Environment, e.Labels, e.Annotations = run.Environment, run.Labels, run.Annotations
	}
	if rec.Built != nil && rec.Built.Git != nil {
		e.RepoURL = rec.Built.Git.URL
	}
	for platform, key := range openFaaSPlatforms() {
		if _, ok := rec.Image.Platforms[platform]; ok {
			e.Images[key] = rec.Image.Ref + "@" + rec.Image.Digest
		}
	}
	return e
}
