package schema

import (
	"fmt"
	"os"
)

// ReadEnvironmentFile reads a file that a function's environment_file names: a
// mapping below the one key "environment". All problems are returned at once, as
// joined [FieldError]s.
func ReadEnvironmentFile(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the environment file: %w", err)
	}
	env := map[string]string{}
	r := &reader{file: path}
	if v, ok := r.document(data); ok {
		r.object(v, fields{"environment": r.strMap(&env)})
	}
	if len(r.problems) > 0 {
		return nil, joinFieldErrors(r.problems)
	}
	return env, nil
}
