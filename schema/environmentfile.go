package schema

import (
	"errors"
	"fmt"
	"maps"

	"fnb/schema/document"
)

// ReadEnvironment returns the variables of a function: those of its environment,
// and over them, as in OpenFaaS, those of its environment files. One that leads too
// far is an [*OutsideError].
func (f Function) ReadEnvironment(reach Reach) (map[string]string, error) {
	return readEnvironment(f.Environment, f.EnvironmentFile, reach)
}

func readEnvironment(own map[string]string, files []string, reach Reach) (map[string]string, error) {
	env := maps.Clone(own)
	for _, file := range files {
		path, err := reach.Path(file)
		if err != nil {
			return nil, fmt.Errorf("the environment file: %w", err)
		}
		vars, err := ReadEnvironmentFile(path)
		if err != nil {
			return nil, err
		}
		if env == nil {
			env = map[string]string{}
		}
		maps.Copy(env, vars)
	}
	return env, nil
}

// ReadEnvironmentFile reads a file that a function's environment_file names: a
// mapping below the one key "environment". All problems are returned at once, as
// joined [document.FieldError]s.
func ReadEnvironmentFile(path string) (map[string]string, error) {
	data, err := document.ReadFile(path, document.MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("reading the environment file: %w", errors.Unwrap(err))
	}
	env := map[string]string{}
	r := &document.Reader{File: path}
	if v, ok := r.Document(data); ok {
		r.Object(v, document.Fields{"environment": r.StrMap(&env)})
	}
	if len(r.Problems) > 0 {
		return nil, document.Join(r.Problems)
	}
	return env, nil
}
