package audit

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"fnb/audit/osv"
)

// The parts of SARIF 2.1.0 that are written.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID         string         `json:"id"`
		Short      sarifText      `json:"shortDescription"`
		HelpURI    string         `json:"helpUri,omitempty"`
		Properties map[string]any `json:"properties,omitempty"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification,omitempty"`
	}
)

// SARIF is the report for what shows problems beside their files, such as GitHub's code
// scanning: one result for each finding, at the first file that has the package, or else at
// stack.
func (r *Report) SARIF(version, stack string) ([]byte, error) {
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "fnb audit", Version: version, Rules: []sarifRule{}}}, Results: []sarifResult{}}
	rules := map[string]int{}
	for i := range r.Findings {
		f := &r.Findings[i]
		at, ok := rules[f.ID]
		if !ok {
			at = len(run.Tool.Driver.Rules)
			rules[f.ID] = at
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule(f))
		}
		run.Results = append(run.Results, f.result(at, stack))
	}
	return json.MarshalIndent(sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}, "", "  ")
}

func rule(f *Finding) sarifRule {
	out := sarifRule{ID: f.ID, Short: sarifText{f.title()}, Properties: map[string]any{"tags": []string{"security", f.Kind}}}
	if f.Kind == Vulnerability {
		out.HelpURI = f.URL()
	}
	if points := f.points(); points > 0 {
		out.Properties["security-severity"] = strconv.FormatFloat(points, 'f', 1, 64) // GitHub's word
	}
	return out
}

// URL is where people read about a hole; "" is of no database.
func (f *Finding) URL() string {
	if f.Kind != Vulnerability && f.Kind != Builder {
		return ""
	}
	return "https://osv.dev/vulnerability/" + f.ID
}

func (f *Finding) title() string {
	if f.Summary != "" {
		return f.Summary
	}
	return f.ID + " in " + f.Package
}

// points are the score, or one that stands for the level.
func (f *Finding) points() float64 {
	if f.Severity.Score > 0 {
		return f.Severity.Score
	}
	return map[osv.Level]float64{osv.Critical: 9.5, osv.High: 8, osv.Medium: 5.5, osv.Unknown: 5.5, osv.Low: 2}[f.Severity.Level]
}

func (f *Finding) result(rule int, stack string) sarifResult {
	text := fmt.Sprintf("%s: %s", strings.TrimSpace(f.Package+" "+f.Version), f.title())
	if len(f.Functions) > 0 {
		text += ". In " + shown(f.Functions)
	}
	if f.Mend != "" {
		text += ". To fix it: " + f.Mend
	}
	level := map[osv.Level]string{osv.Critical: "error", osv.High: "error", osv.Low: "note", osv.None: "note"}[f.Severity.Level]
	if level == "" {
		level = "warning"
	}
	place := stack
	if len(f.Places) > 0 {
		place = f.Places[0]
	}
	out := sarifResult{
		RuleID: f.ID, RuleIndex: rule, Level: level, Message: sarifText{text},
		Locations:    []sarifLocation{{sarifPhysical{sarifArtifact{uri(place)}, sarifRegion{1}}}},
		Fingerprints: map[string]string{"fnbAudit/v1": strings.Join([]string{f.Kind, f.ID, f.Ecosystem, f.Package, f.Version}, "|")},
	}
	if s := f.Suppressed; s != nil {
		out.Suppressions = []sarifSuppression{{"external", strings.TrimSpace(s.Status + " " + s.Justification + " " + s.Statement)}}
	}
	return out
}

// shown are names in a sentence, the first few.
func shown(names []string) string {
	if len(names) <= 5 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:4], ", "), len(names)-4)
}

// uri is the path of a file as SARIF writes it.
func uri(path string) string {
	var b strings.Builder
	for _, c := range []byte(path) {
		switch {
		case c == '\\':
			b.WriteByte('/')
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("/._-~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
