package schema_test

import (
	"fmt"
	"os"
	"path/filepath"

	"fnb/schema"
)

func ExampleParseStack() {
	data := []byte(`
functions:
  hello:
    lang: go@^1
    handler: ./hello
    image: ${REGISTRY:-ghcr.io/acme}/hello:0.1.0
    platforms: linux/amd64,linux/arm64
`)
	stack, err := schema.ParseStack("stack.yaml", data, os.LookupEnv)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, fn := range stack.Functions {
		fmt.Println(fn.Name, fn.Lang, fn.Image, fn.Platforms)
	}
	// Output:
	// hello go@^1 ghcr.io/acme/hello:0.1.0 linux/amd64,linux/arm64
}

func ExampleParseStack_problems() {
	data := []byte(`
functions:
  hello:
    lnag: go
    handler: ./hello
    image: hello:0.1.0
    platforms: linux/amd46
`)
	_, err := schema.ParseStack("stack.yaml", data, os.LookupEnv)
	fmt.Println(err)
	// Output:
	// stack.yaml:3:3: functions.hello.lang: is missing
	// stack.yaml:4:5: functions.hello.lnag: is not a known key (did you mean "lang"?)
	// stack.yaml:7:16: functions.hello.platforms: "linux/amd46" is not a known platform (did you mean "linux/amd64"?)
}

func ExampleReadStack() {
	path, err := schema.FindStack("testdata/project/hello")
	if err != nil {
		fmt.Println(err)
		return
	}
	stack, err := schema.ReadStack(path, os.LookupEnv)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(filepath.Base(stack.File), stack.Functions[0].Name)
	// Output: stack.yml hello
}

func ExampleAddFunction() {
	old := []byte(`functions:
  hello:            # the first
    lang: go
    handler: ./hello
    image: hello:latest

# where templates come from
configuration: {}
`)
	fn := schema.Function{Name: "bye", Lang: "go", Handler: "./bye", Image: "bye:latest"}
	data, err := schema.AddFunction(old, fn)
	fmt.Printf("%s%v\n", data, err)
	// Output:
	// functions:
	//   hello:            # the first
	//     lang: go
	//     handler: ./hello
	//     image: hello:latest
	//   bye:
	//     lang: go
	//     handler: ./bye
	//     image: bye:latest
	//
	// # where templates come from
	// configuration: {}
	// <nil>
}
