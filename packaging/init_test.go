package packaging

import (
	"bytes"
	"errors"
	"testing"

	"fnb/schema"
)

func TestInit(t *testing.T) {
	t.Parallel()
	for _, p := range []schema.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64", Variant: "v8"}, {OS: "linux", Architecture: "arm", Variant: "v7"}} {
		if program, err := Init(p); err != nil && !errors.Is(err, ErrNoInit) || err == nil && !bytes.HasPrefix(program, []byte("\x7fELF")) {
			t.Errorf("%s: %d bytes, %v", p, len(program), err)
		}
	}
	for _, p := range []schema.Platform{{OS: "linux", Architecture: "s390x"}, {OS: "windows", Architecture: "amd64"}, {}} {
		if _, err := Init(p); err == nil || errors.Is(err, ErrNoInit) {
			t.Errorf("%s: %v", p, err)
		}
	}
}
