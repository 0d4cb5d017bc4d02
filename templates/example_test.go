package templates_test

import (
	"fmt"

	"fnb/templates"
)

func ExampleOpenOfficial() {
	t, err := templates.OpenOfficial("python3")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("Dockerfile:", t.Dockerfile.Bases)
	fmt.Println("entrypoint:", t.Entrypoint.FProcess, t.Entrypoint.Files)
	fmt.Println("handler:", t.Handler.Folder, t.Handler.Files)
	fmt.Println("package list:", t.Packages.Lists[0].Manifest)
	// Output:
	// Dockerfile: [python:3.13-slim-bookworm]
	// entrypoint: python index.py [build/debugpy.txt build/packages.py build/pdm.txt build/pipenv.txt build/poetry.txt build/uv.txt fnb_asgi.py fnb_classic.py fnb_http.py fnb_loop.py fnb_shape.py fnb_threads.py fnb_wsgi.py index.py]
	// handler: function [handler.py handler_test.py requirements.txt]
	// package list: function/requirements.txt
}

func ExampleTemplate_Lint() {
	t, err := templates.OpenOfficial("go")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(t.Lint()), "problems")
	// Output: 0 problems
}
