package main

import (
	"os"
	"path/filepath"
)

// A function is one that the demo makes: what is written over its template's
// starter, and a request with a part of its answer.
type function struct {
	name, lang string
	pkg        string // the third-party package in its package list
	files      map[string]string
	body, want string
}

// write replaces files of the handler.
func (f function) write(dir string) error {
	for name, text := range f.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// baseImages are what the templates of the functions build on.
func baseImages() []string {
	return []string{
		"docker.io/library/golang:1.26-bookworm", "gcr.io/distroless/static-debian12:nonroot",
		"docker.io/library/python:3.13-slim-bookworm", "docker.io/library/node:24-bookworm-slim",
	}
}

func functions() []function {
	return []function{
		{
			name: "size-go", lang: "go", pkg: "github.com/dustin/go-humanize",
			files: map[string]string{
				"go.mod":          "module handler/function\n\ngo 1.23\n\nrequire github.com/dustin/go-humanize v1.0.1\n",
				"go.sum":          "github.com/dustin/go-humanize v1.0.1 h1:GzkhY7T5VNhEkwH0PVJgjz+fX1rhBrR7pRT3mDkpeCY=\ngithub.com/dustin/go-humanize v1.0.1/go.mod h1:Mu1zIs6XwVuF/gI1OepvI0qD18qycQx+mFykh5fBlto=\n",
				"handler.go":      goHandler,
				"handler_test.go": "package function\n",
			},
			body: "123456789", want: "124 MB",
		},
		{
			name: "size-python", lang: "python3", pkg: "humanize",
			files: map[string]string{
				"requirements.txt": "humanize==4.9.0\n",
				"handler.py":       "import humanize\n\n\ndef handle(event, context):\n    return {\"statusCode\": 200, \"body\": \"Python says \" + humanize.naturalsize(int(event.body))}\n",
			},
			body: "123456789", want: "123.5 MB",
		},
		{
			name: "time-node", lang: "node", pkg: "ms",
			files: map[string]string{
				"package.json": "{\n  \"name\": \"time-node\",\n  \"version\": \"1.0.0\",\n  \"main\": \"handler.js\",\n  \"dependencies\": { \"ms\": \"2.1.3\" }\n}\n",
				"handler.js":   "'use strict'\nconst ms = require('ms')\n\nmodule.exports = async (event, context) =>\n  context.status(200).succeed('Node says ' + ms(Number(event.body), { long: true }))\n",
			},
			body: "7200000", want: "2 hours",
		},
	}
}

const goHandler = `package function

import (
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/dustin/go-humanize"
)

// Handle answers with a readable size.
func Handle(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintln(w, "Go says", humanize.Bytes(n))
}
`
