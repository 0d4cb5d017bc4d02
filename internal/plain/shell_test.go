package plain_test

import (
	"os/exec"
	"strings"
	"testing"

	"fnb/internal/plain"
)

// A shell reads each word as the one that it was.
func TestShellWord(t *testing.T) {
	t.Parallel()
	for _, want := range []string{"", "a", "a b", "it's", "$HOME", "`id`", "$(id)", `\n`, "a\nb", "*", "~", "#x", "a;b", "&", "ü", "!x", `"`, "-n", "a=b", "@x/y:1,2+3"} {
		got, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+plain.ShellWord(want)+"x").Output()
		if err != nil || strings.TrimSuffix(string(got), "x") != want {
			t.Errorf("%q is %q, %v", want, got, err)
		}
	}
	if got := plain.ShellWord("-v=./a:/b"); got != "-v=./a:/b" {
		t.Errorf("what needs no quotes has some: %s", got)
	}
}
