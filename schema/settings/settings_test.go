package settings_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fnb/schema/settings"
)

func TestReadConfig(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want settings.Builder
		err  string
	}{
		"empty":        {"", settings.Builder{}, ""},
		"builder":      {"builder: {address: tcp://h:1, idle: 1h30m, cache: 1.5GB}", settings.Builder{Address: "tcp://h:1", Idle: 90 * time.Minute, Cache: 1_500_000_000}, ""},
		"network":      {"builder: {network: host}", settings.Builder{Network: settings.NetworkHost}, ""},
		"bad network":  {"builder: {network: bridge}", settings.Builder{}, `"bridge" is neither own nor host`},
		"reach":        {"builder: {reach: ['127.0.0.1:3141', '[::1]:80', 'localhost:8081']}", settings.Builder{Reach: []string{"127.0.0.1:3141", "[::1]:80", "localhost:8081"}}, ""},
		"bad reach":    {"builder: {reach: ['db.example.com:5432']}", settings.Builder{}, `names a host: write localhost or an IP address`},
		"no port":      {"builder: {reach: ['127.0.0.1']}", settings.Builder{}, `is not an address such as 127.0.0.1:3128`},
		"registries":   {"builder: {registries: {docker.io: {mirrors: [m], http: true, ca: [f]}}}", settings.Builder{Registries: map[string]settings.Registry{"docker.io": {Mirrors: []string{"m"}, HTTP: true, CA: []string{"f"}}}}, ""},
		"certificates": {"builder: {ca: [company.pem, /etc/ssl/other.pem]}", settings.Builder{CA: []string{"company.pem", "/etc/ssl/other.pem"}}, ""},
		"unknown":      {"builder: {idel: 5m}", settings.Builder{}, `(did you mean "idle"?)`},
		"no time":      {"builder: {idle: 30}", settings.Builder{}, "is not a time"},
		"negative":     {"builder: {idle: -1h}", settings.Builder{}, "is not a time"},
		"no unit":      {"builder: {cache: 20}", settings.Builder{}, "is not a size"},
		"not a number": {"builder: {cache: nanGB}", settings.Builder{}, "is not a size"},
		"too much":     {"builder: {cache: infGB}", settings.Builder{}, "is not a size"},
		"nothing":      {"builder: {cache: 0GB}", settings.Builder{}, "is not a size"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "config.yaml")
			if got, err := settings.Read(path); err != nil || !cmp.Equal(got, settings.Settings{}) {
				t.Errorf("no file is %+v, %v", got, err)
			}
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := settings.Read(path)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got %v, want %q", err, test.err)
				}
				return
			}
			if diff := cmp.Diff(settings.Settings{Builder: test.want}, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}
