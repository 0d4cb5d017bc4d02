package templates

import (
	"slices"
	"testing"
)

// TestUnpinned: what no lock pins is found wherever a variable hides it, and what is in
// the build context is not taken for it.
func TestUnpinned(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		args map[string]string
		want []string
	}{
		"a file":                {text: "ADD a.tar /\nADD a-$TARGETARCH.tar /"},
		"a URL":                 {text: "ADD https://x.test/a /", want: []string{"https://x.test/a"}},
		"with a checksum":       {text: "ADD --checksum=sha256:" + sum + " https://x.test/a /"},
		"a URL in a variable":   {text: "ARG URL=https://x.test/a\nADD $URL /", want: []string{"$URL"}},
		"by a build arg":        {text: "ARG URL=a.tar\nADD $URL /", args: map[string]string{"URL": "https://x.test/a"}, want: []string{"$URL"}},
		"a file in a variable":  {text: "ARG FILE=a.tar\nADD $FILE /"},
		"a file by a build arg": {text: "ARG FILE\nADD ${FILE} /", args: map[string]string{"FILE": "a.tar"}},
		"an empty variable":     {text: "ARG FILE\nADD ${FILE}app /\nADD $TARGETARCH/bin /\nADD ${TARGETOS}x /"},
		"nobody knows":          {text: "ADD ${FILE} /", want: []string{"${FILE}"}},
		"a part of a URL":       {text: "ADD https://x.test/$TARGETARCH /", want: []string{"https://x.test/$TARGETARCH"}},
		"from ENV":              {text: "ENV URL https://x.test/a\nADD $URL /", want: []string{"$URL"}},
		"git by ssh":            {text: "ADD deploy@git.x.test:team/repo.git /src", want: []string{"deploy@git.x.test:team/repo.git"}},
		"a base of the builder": {text: "FROM x:$TARGETARCH", want: []string{"x:$TARGETARCH"}},
		"a base by its digest":  {text: "FROM x:$TARGETARCH@sha256:" + sum},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := readDockerfile(t, "FROM a:1\n"+tt.text+"\n", tt.args).Unpinned(); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

const sum = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
