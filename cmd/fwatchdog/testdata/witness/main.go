// Command witness is a function of the forking modes: it reads its input to the end, and writes what it was told of
// the request, one variable a line, and after an empty line the input.
package main

import (
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

func main() {
	body, err := io.ReadAll(os.Stdin)
	if err != nil {
		os.Exit(1)
	}
	var told []string
	for _, pair := range os.Environ() {
		if strings.HasPrefix(pair, "Http_") || strings.HasPrefix(pair, "TRACE") {
			told = append(told, strconv.Quote(pair))
		}
	}
	slices.Sort(told)
	_, _ = os.Stdout.WriteString(strings.Join(told, "\n") + "\n\n" + string(body))
}
