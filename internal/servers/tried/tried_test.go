package tried

import (
	"strings"
	"testing"
)

func TestPut(t *testing.T) {
	t.Parallel()
	text := "# Text\n\n" + begin + "\nmore\n"
	for _, r := range []row{
		{"podman", "4.3.1", "TestPodman", "2026-11-01"},
		{"QEMU", "7.2", "machine.txtar", "2026-11-01"},
		{"podman", "5.0", "TestPodman", "2026-11-30"},
		{"podman", "5.0", "TestOther", "2026-11-30"},
	} {
		var err error
		if text, err = put(text, r); err != nil {
			t.Fatal(err)
		}
	}
	want := "# Text\n\n" + begin + heading + "| QEMU | 7.2 | `machine.txtar` | 2026-11-01 |\n| podman | 5.0 | `TestOther` | 2026-11-30 |\n| podman | 5.0 | `TestPodman` | 2026-11-30 |\n\nmore\n"
	if text != want {
		t.Errorf("%s", text)
	}
	for bad, r := range map[string]row{"no table": {"a", "b", "c", "d"}, begin + heading + "| one |\n": {"a", "b", "c", "d"}, begin: {"a|b", "", "", ""}} {
		if got, err := put(bad, r); err == nil {
			t.Errorf("%q: %s", bad, got)
		}
	}
}

// What a test does not write must be there.
func TestRecord(t *testing.T) {
	t.Setenv("FNB_TRIED", "")
	if err := Record(t.Context(), "nothing", "1", "TestRecord"); err == nil || !strings.Contains(err.Error(), "no row for nothing by TestRecord") {
		t.Error(err)
	}
}
