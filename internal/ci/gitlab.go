package ci

import (
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"time"

	"fnb/internal/plain"
)

// gitlab is GitLab CI. What it shows of a change is in the code quality report, which any
// system may be given: see [WriteCodeQuality].
func gitlab() System {
	return System{
		Name: "gitlab", File: ".gitlab-ci.yml", UpdatesFile: ".gitlab/function-updates.yml",
		login: func(host, name string) Login {
			if host == gitlabRegistry {
				return Login{host, "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD"}
			}
			return secretsOf(host, name)
		},
		checkout: inJob("GITLAB_CI", "CI_PROJECT_DIR"),
		show:     gitlabLog{},
	}
}

const gitlabRegistry = "registry.gitlab.com"

// gitlabLog folds logs.
type gitlabLog struct{ silent }

func (gitlabLog) fold(w io.Writer, title string) (end func()) {
	id := "fnb_" + strings.ToLower(rand.Text())
	fmt.Fprintf(w, "\x1b[0Ksection_start:%d:%s[collapsed=true]\r\x1b[0K%s\n", time.Now().Unix(), id, plain.Line(title))
	return func() { fmt.Fprintf(w, "\x1b[0Ksection_end:%d:%s\r\x1b[0K\n", time.Now().Unix(), id) }
}
