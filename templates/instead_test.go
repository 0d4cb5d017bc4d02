package templates_test

import (
	"testing"

	"fnb/internal/fixture"
	"fnb/templates"
)

// TestOfficialInstead has handlers that strangers have written for OpenFaaS's templates, in
// their shapes, and which official template takes each.
func TestOfficialInstead(t *testing.T) {
	t.Parallel()
	const (
		event      = "import json\n\ndef handle(event, context):\n    return {\"statusCode\": 200, \"body\": \"hi\"}\n"
		nodeEvent  = "'use strict'\n\nmodule.exports = async (event, context) => {\n  return context.status(200).succeed('hi')\n}\n"
		middleware = "package function\n\nimport \"net/http\"\n\nfunc Handle(w http.ResponseWriter, r *http.Request) {\n}\n"
		sdk        = "package function\n\nimport handler \"github.com/openfaas/templates-sdk/go-http\"\n\nfunc Handle(req handler.Request) (handler.Response, error) {\n\treturn handler.Response{}, nil\n}\n"
	)
	for _, test := range []struct {
		lang    string
		files   []string
		options []string
		want    string
	}{
		{"python3-http", []string{"handler.py", event}, nil, "python3"},
		{"python3-http", []string{"handler.py", event}, []string{"dev"}, "python3"},
		{"python3-http", []string{"handler.py", event}, []string{"libffi"}, ""},
		{"python3-http-debian", []string{"handler.py", "async def handle(event, context=None):\n    return 1\n", "requirements.txt", "requests\n"}, nil, "python3"},
		{"python3-http-armhf", []string{"handler.py", event}, nil, "python3"},
		{"python3-http", []string{"handler.py", "def handle(a, b, c): pass\n"}, nil, ""},
		{"python3-http", []string{"handler.py", "from .app import handle\n"}, nil, ""},
		{"python3-http", []string{"handler.py", "from flask import jsonify\n" + event}, nil, ""},
		{"python3-http", []string{"handler.py", "from flask import jsonify\n" + event, "requirements.txt", "Flask==3.1\n"}, nil, "python3"},
		{"python3-http", []string{"handler.py", event, "other.py", "import flask\n"}, nil, ""},
		{"python3-flask", []string{"handler.py", "def handle(req):\n    return req\n"}, nil, ""},
		{"python3-debian", []string{"handler.py", "def handle(req):\n    return req\n"}, nil, "python3"},
		{"python3-debian", []string{"handler.py", "def handle(payload: str) -> str:\n    return payload\n"}, nil, "python3"},
		{"python3-http", []string{"handler.py", "def handle(event: dict, context: object) -> dict:\n    return {}\n"}, nil, "python3"},
		{"python3-debian", []string{"handler.py", event}, nil, ""},
		{"node22", []string{"handler.js", nodeEvent, "package.json", "{}"}, nil, "node"},
		{"node18", []string{"handler.js", "module.exports = async function handle (event, context, cb) { cb() }\n"}, nil, "node"},
		{"node12", []string{"handler.js", "module.exports = (event, context) => context.succeed(1)\n"}, nil, "node"},
		{"node25", []string{"handler.js", "async function run(event, context) {\n  return context.succeed(1)\n}\n\nmodule.exports = run\n"}, nil, "node"},
		{"node22", []string{"handler.js", "async function run(event, context) {}\n"}, nil, ""},
		{"node11", []string{"handler.js", nodeEvent}, nil, ""},
		{"node10-express", []string{"handler.js", "module.exports = (event, context, callback) => { callback() }\n"}, nil, "node"},
		{"node20", []string{"handler.js", "const express = require('express')\n" + nodeEvent}, nil, ""},
		{"node20", []string{"handler.js", "const express = require('express')\n" + nodeEvent, "package.json", `{"dependencies": {"express": "^5"}}`}, nil, "node"},
		{"node20", []string{"handler.js", "module.exports = async (config) => { config.app.get('/') }\n"}, nil, ""},
		{"node10-express-service", []string{"handler.js", nodeEvent}, nil, ""},
		{"golang-middleware", []string{"handler.go", middleware, "go.mod", "module handler/function\n"}, nil, "go"},
		{"golang-middleware", []string{"handler.go", middleware, "main.go", "package main\n"}, nil, ""},
		{"golang-middleware", []string{"handler.go", sdk}, nil, ""},
		{"golang-middleware", []string{"handler_test.go", middleware}, nil, ""},
		{"golang-http", []string{"handler.go", sdk}, nil, "go"},
		{"golang-http", []string{"handler.go", middleware}, nil, ""},
		{"golang-middleware-inproc", []string{"handler.go", middleware}, nil, ""},
		{"dockerfile", []string{"Dockerfile", "FROM x\n", "handler.py", event}, nil, "python3"},
		{"dockerfile", []string{"Dockerfile", "FROM x\n", "handler.go", middleware}, nil, "go"},
		{"dockerfile", []string{"Dockerfile", "FROM x\n", "main.go", "package main\n\nfunc Handle(w http.ResponseWriter, r *http.Request) {}\n"}, nil, ""},
		{"dockerfile", []string{"Dockerfile", "FROM x\n", "app.py", event}, nil, ""},
		{"python3", []string{"handler.py", event}, nil, ""},
		{"ruby-http", []string{"handler.rb", "class Handler\nend\n"}, nil, ""},
		{"python3-http", nil, nil, ""},
	} {
		got, ok := templates.OfficialInstead(test.lang, fixture.Files(test.files...), test.options)
		if got.Name != test.want || ok != (test.want != "") || ok && got.Differs == "" {
			t.Errorf("%s, %q: %+v, %v; want %q", test.lang, test.files, got, ok, test.want)
		}
	}
}
