package buildcontext

import (
	"io/fs"
	"testing"
)

func TestSeen(t *testing.T) {
	t.Parallel()
	bc := &Context{entries: []entry{
		{path: "Dockerfile"},
		{path: "function", mode: fs.ModeDir},
		{path: "function/list.txt"},
		{path: "function/list.lock"},
		{path: "function/a.py"},
		{path: "main.go"},
	}}
	tests := []struct {
		dockerfile string
		target     string
		want       bool
	}{
		{"FROM x\nCOPY . .\n", "", false},
		{"FROM x\nRUN true\nCOPY . .\n", "", false},
		{"FROM x\nCOPY . .\nRUN true\n", "", true},
		{"FROM x\ncopy . .\nrun true\n", "", true},
		{"FROM x\nADD main.go .\nRUN true\n", "", true},
		{"FROM x\nCOPY function/list.txt .\nRUN true\nCOPY . .\n", "", false},
		{"FROM x\nCOPY /function/list.txt function/list.loc[k] none* ./\nRUN true\nCOPY . .\n", "", false},
		{"FROM x\nCOPY [\"function/list.txt\", \".\"]\nRUN true\n", "", false},
		{"FROM x\nCOPY function/* .\nRUN true\n", "", true}, // a.py
		{"FROM x\nCOPY function .\nRUN true\n", "", true},
		{"FROM x\nCOPY func* .\nRUN true\n", "", true},
		{"FROM x\nCOPY x[ .\nRUN true\n", "", true},
		{"FROM x\nARG A\nCOPY $A .\nRUN true\n", "", true},
		{"FROM x\nCOPY <<EOF /a\nhello\nEOF\nRUN true\n", "", false},
		{"FROM x\nRUN --mount=type=bind,target=/c true\n", "", true},
		{"FROM x\nRUN --mount=target=/c true\n", "", true},
		{"FROM x\nRUN --mount=type=cache,target=/c --mount=type=secret,id=s true\n", "", false},
		{"FROM x AS a\nCOPY . .\nFROM x\nRUN --mount=type=bind,from=a,target=/c true\n", "", true},
		{"FROM x AS a\nCOPY . .\nFROM a\nRUN true\n", "", true},
		{"FROM x AS a\nCOPY . .\nFROM x\nCOPY --from=a / .\nRUN true\n", "", true},
		{"FROM x AS a\nCOPY . .\nFROM x\nCOPY --from=0 / .\nRUN true\n", "", true},
		{"FROM x AS a\nCOPY . .\nFROM x\nCOPY --from=other / .\nRUN true\n", "", false},
		{"FROM x AS test\nCOPY . .\nRUN true\nFROM x\nCOPY . .\n", "", false},
		{"FROM x AS test\nCOPY . .\nRUN true\nFROM x\nCOPY . .\n", "Test", true},
		{"FROM x AS test\nCOPY . .\nRUN true\nFROM x\nCOPY . .\n", "0", true},
		{"FROM x AS made-of-y\nCOPY . .\nRUN true\nFROM made-${HOW}\n", "", true},
		{"FROM x AS made-of-y\nCOPY . .\nRUN true\nFROM image:${HOW}\n", "", false},
		{"this is \"no Dockerfile", "", false}, // has no step
		{"", "", true},
	}
	for _, tt := range tests {
		if got := bc.Seen([]byte(tt.dockerfile), tt.target); got != tt.want {
			t.Errorf("%q for %q: got %t", tt.dockerfile, tt.target, got)
		}
	}
}
