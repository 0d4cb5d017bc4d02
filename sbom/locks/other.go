package locks

import (
	"encoding/xml"
	"strings"

	"fnb/sbom"
)

// goMod notes which modules the function asks for itself; the program in the image says the rest.
func goMod(l *List, _ string, data []byte) error {
	block := false
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		code, comment, _ := strings.Cut(line, "//")
		words := strings.Fields(code)
		switch {
		case len(words) == 0:
		case words[0] == "require" && len(words) > 1 && words[1] == "(":
			block = true
		case words[0] == ")":
			block = false
		case strings.TrimSpace(comment) == "indirect":
		case block && len(words) == 2:
			l.asks(sbom.Go, words[0])
		case words[0] == "require" && len(words) == 3:
			l.asks(sbom.Go, words[1])
		}
	}
	return nil
}

// pom notes which artifacts the function asks for itself.
func pom(l *List, _ string, data []byte) error {
	var m struct {
		Dependencies []struct {
			Group    string `xml:"groupId"`
			Artifact string `xml:"artifactId"`
		} `xml:"dependencies>dependency"`
	}
	if err := xml.Unmarshal(data, &m); err != nil {
		return err
	}
	for _, d := range m.Dependencies {
		l.asks(sbom.Maven, strings.TrimSpace(d.Group)+":"+strings.TrimSpace(d.Artifact))
	}
	return nil
}
