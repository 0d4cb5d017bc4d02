package schema

import (
	"maps"
	"slices"
)

// GivenSecrets are the build secrets of a function that are given beside the stack file: all
// those for builds, and of those for runs what build_secrets names.
func (f Function) GivenSecrets(builds, runs map[string][]byte) map[string][]byte {
	given := map[string][]byte{}
	for id := range f.BuildSecrets {
		if value, ok := runs[id]; ok {
			given[id] = value
		}
	}
	maps.Copy(given, builds)
	return given
}

// WithoutBuildSecrets is the function without those build secrets that are given.
func (f Function) WithoutBuildSecrets(given map[string][]byte) Function {
	f.BuildSecrets = maps.Clone(f.BuildSecrets)
	maps.DeleteFunc(f.BuildSecrets, func(id, _ string) bool { _, ok := given[id]; return ok })
	return f
}

// RunSecrets are those of the given secrets that the function sees when it runs: not what only
// its build is to have.
func (f Function) RunSecrets(given map[string][]byte) map[string][]byte {
	given = maps.Clone(given)
	maps.DeleteFunc(given, func(name string, _ []byte) bool {
		_, build := f.BuildSecrets[name]
		return build && !slices.Contains(f.Secrets, name)
	})
	return given
}

// BuildSecretFiles are the files of the build secrets of all functions, which no image has.
func (s *Stack) BuildSecretFiles() []string {
	var files []string
	for _, fn := range s.Functions {
		files = slices.AppendSeq(files, maps.Values(fn.BuildSecrets))
	}
	slices.Sort(files)
	return slices.Compact(files)
}
