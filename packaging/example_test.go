package packaging_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"fnb/packaging"
	"fnb/schema"
	"fnb/templates"
)

// A handler without a package list gets the template's.
func ExampleAssemble() {
	stack, err := os.MkdirTemp("", "stack")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(stack) }() // it is a temporary folder
	if err := os.Mkdir(filepath.Join(stack, "hello"), 0o755); err != nil {
		fmt.Println(err)
		return
	}
	handler := []byte("def handle(event, context):\n    return 'hello'\n")
	if err := os.WriteFile(filepath.Join(stack, "hello", "handler.py"), handler, 0o600); err != nil {
		fmt.Println(err)
		return
	}
	template, err := templates.OpenOfficial("python3")
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := packaging.Assemble(context.Background(), packaging.Input{
		Function: schema.Function{Name: "hello", Handler: "./hello"},
		Template: template,
		Root:     stack,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Config.Entrypoint, c.Config.Env["fprocess"])
	fmt.Println(c.Details)
	// Output:
	// [/usr/bin/fwatchdog] python index.py
	// [function/requirements.txt from the template, because the handler has none]
}
