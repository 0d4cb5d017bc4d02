package templates

import "testing"

func TestOfficialTemplatesLintClean(t *testing.T) {
	t.Parallel()
	all, err := Official()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 5 {
		t.Errorf("there are %d official templates, not 5", len(all))
	}
	for _, tpl := range all {
		for _, p := range tpl.Lint() {
			t.Errorf("%s: %s", tpl.Name, p)
		}
		t.Logf("%s %s %+v", tpl.Name, tpl.Checksum, tpl.Template)
	}
}
