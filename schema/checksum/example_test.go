package checksum_test

import (
	"fmt"
	"testing/fstest"

	"fnb/schema/checksum"
)

func ExampleOf() {
	template := fstest.MapFS{
		"Dockerfile":          {Data: []byte("FROM scratch\n"), Mode: 0o644},
		"function/handler.go": {Data: []byte("package function\n"), Mode: 0o644},
	}
	sum, err := checksum.Of(template)
	fmt.Println(sum, err)
	// Output: fnb1:sha256:a06dbd31d93f78ff1c456bc9e2efefadfbabb0b3413693cf68f11b2968e00639 <nil>
}
