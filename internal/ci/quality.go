package ci

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"fnb/internal/disk"
)

// WriteCodeQuality writes problems as GitLab's code quality report, which GitLab shows
// in the merge request; those without a place are left out.
func WriteCodeQuality(file string, remarks []Remark) error {
	type lines struct {
		Begin int `json:"begin"`
	}
	type location struct {
		Path  string `json:"path"`
		Lines lines  `json:"lines"`
	}
	type issue struct {
		Description string   `json:"description"`
		CheckName   string   `json:"check_name"`
		Fingerprint string   `json:"fingerprint"`
		Severity    string   `json:"severity"`
		Location    location `json:"location"`
	}
	issues := []issue{}
	for _, r := range remarks {
		if r.Path == "" {
			continue
		}
		sum := sha256.Sum256([]byte(r.Path + "\x00" + r.Text))
		issues = append(issues, issue{r.Text, "fnb", hex.EncodeToString(sum[:16]), "major", location{r.Path, lines{max(r.Line, 1)}}})
	}
	raw, err := json.MarshalIndent(issues, "", "  ")
	if err != nil {
		return err
	}
	return disk.ReplaceFile(file, append(raw, '\n'), 0o644)
}
