package deploy

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"fnb/internal/plain"
)

// Docker writes a command for a shell that runs the function on this machine. Limits,
// labels and what else only a cluster knows are left out. It refuses nothing: each word is
// quoted.
func Docker(f Function) (Part, error) {
	pause := f.pause(0) // no balancer is in front, and nobody has to be told
	words := []string{"docker", "run", "--rm", "-p", "8080:" + strconv.Itoa(f.port()), "--stop-timeout", strconv.Itoa(seconds(f.graceful(pause)))}
	if f.ReadOnlyRoot {
		words = append(words, "--read-only", "--tmpfs", "/tmp")
	}
	if f.FProcess != "" {
		words = append(words, "-e", "fprocess="+f.FProcess)
	}
	for _, k := range slices.Sorted(maps.Keys(f.Environment)) {
		words = append(words, "-e", k+"="+f.Environment[k])
	}
	for _, s := range f.Secrets {
		words = append(words, "-v", "./"+s+":"+secretsDir+"/"+s+":ro")
	}
	words = append(words, f.Image)
	for i, w := range words {
		words[i] = plain.ShellWord(w)
	}
	return Part{text: strings.Join(words, " ") + "\n"}, nil
}
