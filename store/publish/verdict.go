package publish

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"fnb/gitrepo"
	"fnb/internal/plain"
	"fnb/schema"
	"fnb/store"
	"fnb/store/records"
	"fnb/templates"
)

// A Decision is what is to become of a change to a store.
type Decision string

// The decisions.
const (
	DecisionMerge  Decision = "merge"  // a program may merge it
	DecisionReview Decision = "review" // nothing is wrong, and a person must look at it
	DecisionRefuse Decision = "refuse" // something is wrong
)

// A Verdict is what [Check] says of a change to a store.
type Verdict struct {
	Decision Decision  `json:"decision"`
	Labels   []string  `json:"labels"`  // the decision, and what the change does, for the change's list of labels
	Changes  []Change  `json:"changes"` // what it does, by file
	Reasons  []string  `json:"reasons"` // why it is not merged without a person, where no problem says so
	Problems []Problem `json:"problems"`
}

// A Change is what a change does to one file of a store.
type Change struct {
	File string `json:"file"`
	Kind string `json:"kind"`           // one of those below
	Name string `json:"name,omitempty"` // namespace/name or namespace/name@version; "" for another file
}

// The kinds of a [Change]. That of a package's last file is of the file, not of the package.
const (
	changeVersion     = "new version"
	changePackage     = "new package"
	changeNamespace   = "new namespace"
	changeOwners      = "owners"
	changeWithdrawal  = "withdrawal"
	changeDescription = "description"
	changeOther       = "other"
	changeSignature   = "signature"

	changeAltered     = "changed version"
	changeRemoved     = "removed version"
	changeBack        = "withdrawal taken back"
	changeNoNamespace = "removed namespace"
	changeUndescribed = "removed description"
)

// Check finds all that is wrong with a store: files that are not what they should
// be, versions that were changed or taken back since the base, namespaces of
// others, new records whose template cannot be fetched, has another checksum
// or does not pass lint, and new records whose image is not in its registry. The error is about reading the store itself.
//
// It decides what becomes of the change since req.Base: it may be merged if there is
// neither an error nor a warning, it is said who proposes it, and it touches nothing but
// records in namespaces that one of req.Authors owns. Who owns a namespace is for a person
// to change. Without a base nothing is merged.
func Check(ctx context.Context, s *store.Finder, req CheckRequest) (Verdict, error) {
	k, err := run(ctx, s, req)
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{
		Decision: DecisionMerge, Changes: append([]Change{}, k.changes...),
		Reasons: k.reasons(), Problems: append([]Problem{}, k.problems...),
	}
	if len(v.Reasons) > 0 {
		v.Decision = DecisionReview
	}
	for _, p := range k.problems {
		if p.Severity == templates.SeverityError {
			v.Decision = DecisionRefuse
			break
		}
		v.Decision = DecisionReview
	}
	v.Labels = []string{"store: " + string(v.Decision)}
	for _, c := range v.Changes {
		if !slices.Contains(v.Labels, c.Kind) {
			v.Labels = append(v.Labels, c.Kind)
		}
	}
	return v, nil
}

// Markdown returns the verdict as a comment on the change. What the change brings is shown as
// code, and nothing of it acts.
func (v Verdict) Markdown() string {
	var b strings.Builder
	b.WriteString(map[Decision]string{
		DecisionMerge:  "**This change may be merged.** It is complete, and its namespaces are its author's.\n",
		DecisionReview: "**A person must look at this change.** Nothing is wrong with it that a program can see.\n",
		DecisionRefuse: "**This change cannot be merged as it is.** Correct what is listed, and push again.\n",
	}[v.Decision])
	section := func(title string, n int, line func(i int) string) {
		if n == 0 {
			return
		}
		fmt.Fprintf(&b, "\n%s\n\n", title)
		for i := range min(n, mostListed) {
			fmt.Fprintf(&b, "* %s\n", line(i))
		}
		if n > mostListed {
			fmt.Fprintf(&b, "* and %d more\n", n-mostListed)
		}
	}
	section("What is wrong, or to be looked at:", len(v.Problems), func(i int) string {
		p := v.Problems[i]
		return string(p.Severity) + ": " + plain.Markdown(p.File) + ": " + plain.Markdown(p.Message)
	})
	section("Why a person must look:", len(v.Reasons), func(i int) string { return plain.Markdown(v.Reasons[i]) })
	section("What it does:", len(v.Changes), func(i int) string {
		c := v.Changes[i]
		if c.Name == "" {
			return c.Kind + ": " + plain.Markdown(c.File)
		}
		return c.Kind + ": " + plain.Markdown(c.Name)
	})
	if b.Len() > mostComment {
		return strings.ToValidUTF8(b.String()[:mostComment], "") + "…\n"
	}
	return b.String()
}

// What a comment may have: hosts refuse long ones, and a variable of a process holds 128 KiB.
const (
	mostListed  = 50
	mostComment = 30_000
)

// reasons are why no program may merge the change, beside its problems.
func (k *check) reasons() []string {
	reasons := []string{}
	if k.base == nil {
		reasons = append(reasons, "fnb does not know what the store was before")
	}
	if len(k.req.Authors) == 0 {
		reasons = append(reasons, "fnb does not know who proposes it")
	}
	if k.base != nil && len(k.changes) == 0 {
		reasons = append(reasons, "it changes nothing")
	}
	for _, ns := range k.unowned {
		reasons = append(reasons, fmt.Sprintf("the namespace %s has no owners", ns))
	}
	for _, c := range k.changes {
		switch c.Kind {
		case changeOther:
			reasons = append(reasons, c.File+" is not a record")
		case changeOwners:
			reasons = append(reasons, "it changes who owns the namespace "+c.Name)
		}
	}
	return reasons
}

// describe says what becomes of a file.
func (k *check) describe(c gitrepo.Change) Change {
	change := Change{File: c.Path, Kind: changeOther}
	parts := strings.Split(c.Path, "/")
	switch {
	case len(parts) == 2 && parts[0] == records.NamespacesDir:
		change.Kind, change.Name = became(c, changeNamespace, changeOwners, changeNoNamespace), strings.TrimSuffix(parts[1], records.RecordSuffix)
	case len(parts) == 3 && parts[0] == records.NamespacesDir && schema.ValidateName(parts[1]) == nil:
		change.Kind, change.Name = changeOwners, parts[1]
	case len(parts) < 4 || !records.HasPackages(parts[0]):
	case strings.HasSuffix(c.Path, records.SignatureSuffix) && (len(parts) == 4 || len(parts) == 5 && parts[3] == records.VersionsDir):
		change.Kind, change.Name = changeSignature, parts[1]+"/"+parts[2]
	case len(parts) == 4 && parts[3] == records.PackageFile:
		change.Kind, change.Name = became(c, changePackage, changeDescription, changeUndescribed), parts[1]+"/"+parts[2]
	case len(parts) == 5 && parts[3] == records.VersionsDir:
		name := parts[1] + "/" + parts[2]
		change.Kind = became(c, changeVersion, changeAltered, changeRemoved)
		version, yank := strings.CutSuffix(parts[4], records.YankSuffix)
		if yank {
			change.Kind = became(c, changeWithdrawal, changeWithdrawal, changeBack)
		}
		change.Name = name + "@" + strings.TrimSuffix(version, records.RecordSuffix)
		if versions, err := k.base.List(path.Join(parts[0], name, records.VersionsDir)); !yank && (err != nil || len(versions) == 0) {
			change.Kind = changePackage
		}
	}
	return change
}

// became chooses among the kinds of a file that is new, is another, or is gone.
func became(c gitrepo.Change, added, altered, removed string) string {
	switch {
	case c.From == 0:
		return added
	case c.To == 0:
		return removed
	}
	return altered
}
