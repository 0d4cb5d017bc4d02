package schema_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fnb/schema"
)

func TestReadConfig(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want schema.BuilderConfig
		err  string
	}{
		"empty":        {"", schema.BuilderConfig{}, ""},
		"builder":      {"builder: {address: tcp://h:1, idle: 1h30m, cache: 1.5GB}", schema.BuilderConfig{Address: "tcp://h:1", Idle: 90 * time.Minute, Cache: 1_500_000_000}, ""},
		"network":      {"builder: {network: host}", schema.BuilderConfig{Network: schema.NetworkHost}, ""},
		"bad network":  {"builder: {network: bridge}", schema.BuilderConfig{}, `"bridge" is neither own nor host`},
		"reach":        {"builder: {reach: ['127.0.0.1:3141', '[::1]:80', 'localhost:8081']}", schema.BuilderConfig{Reach: []string{"127.0.0.1:3141", "[::1]:80", "localhost:8081"}}, ""},
		"bad reach":    {"builder: {reach: ['db.example.com:5432']}", schema.BuilderConfig{}, `names a host: write localhost or an IP address`},
		"no port":      {"builder: {reach: ['127.0.0.1']}", schema.BuilderConfig{}, `is not an address such as 127.0.0.1:3128`},
		"registries":   {"builder: {registries: {docker.io: {mirrors: [m], http: true, ca: [f]}}}", schema.BuilderConfig{Registries: map[string]schema.RegistryConfig{"docker.io": {Mirrors: []string{"m"}, HTTP: true, CA: []string{"f"}}}}, ""},
		"unknown":      {"builder: {idel: 5m}", schema.BuilderConfig{}, `(did you mean "idle"?)`},
		"no time":      {"builder: {idle: 30}", schema.BuilderConfig{}, "is not a time"},
		"negative":     {"builder: {idle: -1h}", schema.BuilderConfig{}, "is not a time"},
		"no unit":      {"builder: {cache: 20}", schema.BuilderConfig{}, "is not a size"},
		"not a number": {"builder: {cache: nanGB}", schema.BuilderConfig{}, "is not a size"},
		"too much":     {"builder: {cache: infGB}", schema.BuilderConfig{}, "is not a size"},
		"nothing":      {"builder: {cache: 0GB}", schema.BuilderConfig{}, "is not a size"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "config.yaml")
			if got, err := schema.ReadConfig(path); err != nil || !cmp.Equal(got, schema.Config{}) {
				t.Errorf("no file is %+v, %v", got, err)
			}
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := schema.ReadConfig(path)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got %v, want %q", err, test.err)
				}
				return
			}
			if diff := cmp.Diff(schema.Config{Builder: test.want}, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}
