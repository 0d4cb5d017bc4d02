package schema

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"fnb/internal/lazyregexp"
)

// What the record of a function may hold, in bytes or in number.
const (
	MaxReadmeSize = 64 << 10
	MaxIconSize   = 32 << 10
	MaxExamples   = 20

	maxExampleBody = 16 << 10
	maxLine        = 200 // of a title, an author, a licence
	maxDescription = 2000
	maxCategories  = 10
	maxSettings    = 200 // environment variables, labels, annotations, secrets: of each
)

// A RecordImage is a function's image, as its registry had it.
type RecordImage struct {
	Ref       string                   `json:"ref"`              // repository and tag, for people; the digest decides
	Digest    string                   `json:"digest,omitempty"` // of the image or its index; missing only in OpenFaaS's lists
	Platforms map[string]PlatformImage `json:"platforms"`        // by platform, such as linux/arm64

	Provenance string   `json:"provenance,omitempty"` // type of the provenance that was attached when it was published, such as https://slsa.dev/provenance/v1
	SignedBy   []string `json:"signedBy,omitempty"`   // fingerprints of the keys whose signatures were verified when it was published, such as SHA256:…
}

// A PlatformImage is the image of one platform.
type PlatformImage struct {
	Digest   string `json:"digest,omitempty"`   // missing only in OpenFaaS's lists
	Size     int64  `json:"size,omitempty"`     // bytes of its compressed layers
	Packages int    `json:"packages,omitempty"` // how many its SBOM had when it was published; 0 where it had none
	Ref      string `json:"ref,omitempty"`      // in OpenFaaS's lists: where it is
}

// A RecordRun says how a function is run.
type RecordRun struct {
	FProcess               string            `json:"fprocess,omitempty"`
	Environment            map[string]string `json:"env,omitempty"`
	ReadOnlyRootFilesystem bool              `json:"readOnlyRootFilesystem,omitempty"`
	Labels                 map[string]string `json:"labels,omitempty"`
	Annotations            map[string]string `json:"annotations,omitempty"`
	Secrets                []string          `json:"secrets,omitempty"` // their names
	Limits                 *RecordResources  `json:"limits,omitempty"`
	Requests               *RecordResources  `json:"requests,omitempty"`
}

// RecordResources are memory and CPU in Kubernetes' units.
type RecordResources struct {
	Memory string `json:"memory,omitempty"`
	CPU    string `json:"cpu,omitempty"`
}

// A RecordBuilt says what a function was built from.
type RecordBuilt struct {
	Template string     `json:"template,omitempty"` // template reference
	Checksum string     `json:"cksum,omitempty"`    // of the template's files
	Git      *GitSource `json:"git,omitempty"`      // of the handler's folder
}

// A Trial is what a function is given when its examples are run. Its secrets are for
// everybody to read.
type Trial struct {
	Environment map[string]string `json:"env,omitempty" yaml:"environment,omitempty"`
	Secrets     map[string]string `json:"secrets,omitempty" yaml:"secrets,omitempty"`
}

// SecretFiles are the secrets of a trial, as a container has them; t may be nil.
func (t *Trial) SecretFiles() map[string][]byte {
	files := map[string][]byte{}
	if t != nil {
		for name, value := range t.Secrets {
			files[name] = []byte(value)
		}
	}
	return files
}

// An Example is a request to a function, and what it answers.
type Example struct {
	Title    string            `json:"title,omitempty" yaml:"title,omitempty"`
	Method   string            `json:"method,omitempty" yaml:"method,omitempty"` // "" is POST
	Path     string            `json:"path,omitempty" yaml:"path,omitempty"`     // "" is /
	Headers  map[string]string `json:"headers,omitempty" yaml:"headers,omitempty"`
	Body     string            `json:"body,omitempty" yaml:"body,omitempty"`
	Status   int               `json:"status,omitempty" yaml:"status,omitempty"`     // of the answer; 0 is 200
	Contains string            `json:"contains,omitempty" yaml:"contains,omitempty"` // a part of the answer
	Equals   string            `json:"equals,omitempty" yaml:"equals,omitempty"`     // the whole answer, but for line ends after it
}

// RunsOn returns the platforms that a package is for, sorted; none means any.
func (r Record) RunsOn() []string {
	if r.Image != nil {
		return slices.Sorted(maps.Keys(r.Image.Platforms))
	}
	return slices.Sorted(slices.Values(r.Platforms))
}

var (
	digestText   = lazyregexp.New(`^sha256:[0-9a-f]{64}$`)
	variableText = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
	secretText   = lazyregexp.New(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)
	labelText    = lazyregexp.New(`^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$`)
	quantityText = lazyregexp.New(`^[0-9]+(\.[0-9]+)?([EPTGMK]i|[EPTGMkm])?$`)
	headerText   = lazyregexp.New(`^[A-Za-z0-9-]+$`)
	iconText     = lazyregexp.New(`^data:image/(png|jpeg|svg\+xml|webp);base64,[A-Za-z0-9+/]+=*$`)
)

// function checks what only the record of a function has.
func (r *storedReader) function(rec Record) {
	for field, has := range map[string]bool{"cksum": rec.Checksum != "", "source": rec.Source != RecordSource{}, "platforms": len(rec.Platforms) > 0} {
		if has {
			r.fail(field, "does not belong to a function")
		}
	}
	r.image(rec.Image)
	if rec.Run != nil {
		r.run(*rec.Run)
	}
	if b := rec.Built; b != nil {
		if b.Checksum != "" && !checksumText.MatchString(b.Checksum) {
			r.fail("built.cksum", fmt.Sprintf("%q is not a checksum such as fnb1:sha256:…", b.Checksum))
		}
		if b.Git != nil {
			r.check("built.git", checkGitSource(*b.Git))
		}
	}
	r.about(rec)
	if len(rec.Examples) > MaxExamples {
		r.fail("examples", fmt.Sprintf("has more than %d entries", MaxExamples))
	}
	for i, e := range rec.Examples {
		r.check(fmt.Sprintf("examples[%d]", i), ValidateExample(e))
	}
	if rec.Try != nil {
		r.check("try", validateTrial(*rec.Try))
	}
}

func (r *storedReader) image(image *RecordImage) {
	if image == nil {
		r.fail("image", "is missing")
		return
	}
	r.check("image.ref", checkRepositoryTag(image.Ref))
	if !digestText.MatchString(image.Digest) {
		r.fail("image.digest", fmt.Sprintf("%q is not a digest such as sha256:…", image.Digest))
	}
	if len(image.Platforms) == 0 {
		r.fail("image.platforms", "is missing")
	}
	r.evidence(image)
	for _, name := range slices.Sorted(maps.Keys(image.Platforms)) {
		field, one := "image.platforms."+name, image.Platforms[name]
		if p, err := ParsePlatform(name); err != nil {
			r.fail(field, err.Error())
		} else if p.String() != name {
			r.fail(field, fmt.Sprintf("must be written %s", p))
		}
		if !digestText.MatchString(one.Digest) {
			r.fail(field+".digest", fmt.Sprintf("%q is not a digest such as sha256:…", one.Digest))
		}
		if one.Size < 0 {
			r.fail(field+".size", "is negative")
		}
		if one.Packages < 0 {
			r.fail(field+".packages", "is negative")
		}
		if one.Ref != "" {
			r.fail(field+".ref", "has no place in a record: every platform is part of the image")
		}
	}
}

// maxSigners is how many keys an image may be signed by, as a record says it.
const maxSigners = 20

var fingerprintText = lazyregexp.New(`^SHA256:[A-Za-z0-9+/]{43}$`)

// evidence checks what a record says that is attached to an image.
func (r *storedReader) evidence(image *RecordImage) {
	if u, err := url.Parse(image.Provenance); image.Provenance != "" && (err != nil || u.Scheme != "https" || len(image.Provenance) > 200) {
		r.fail("image.provenance", fmt.Sprintf("%q is not a type such as https://slsa.dev/provenance/v1", shorten(image.Provenance)))
	}
	if len(image.SignedBy) > maxSigners {
		r.fail("image.signedBy", fmt.Sprintf("has more than %d entries", maxSigners))
	}
	for i, key := range image.SignedBy {
		if !fingerprintText.MatchString(key) {
			r.fail(fmt.Sprintf("image.signedBy[%d]", i), fmt.Sprintf("%q is not a fingerprint such as SHA256:…", shorten(key)))
		}
	}
}

// checkRepositoryTag returns an error unless ref is an image reference without a
// digest.
func checkRepositoryTag(ref string) error {
	r, err := ParseImageRef(ref)
	if err != nil {
		return err
	}
	if r.Digest != "" {
		return fmt.Errorf("%q has a digest, which is a field of its own", ref)
	}
	return nil
}

// ValidateRun returns an error unless run could be that of a record.
func ValidateRun(run RecordRun) error {
	r := &storedReader{}
	r.run(run)
	return r.err()
}

func (r *storedReader) run(run RecordRun) {
	for _, m := range []struct {
		field string
		all   map[string]string
		key   *lazyregexp.Regexp
	}{{"run.env", run.Environment, variableText}, {"run.labels", run.Labels, labelText}, {"run.annotations", run.Annotations, labelText}} {
		if len(m.all) > maxSettings {
			r.fail(m.field, fmt.Sprintf("has more than %d entries", maxSettings))
		}
		for key, value := range m.all {
			if !m.key.MatchString(key) || len(key) > maxLine {
				r.fail(m.field, fmt.Sprintf("%q cannot be a name in it", shorten(key)))
			}
			if strings.ContainsRune(value, 0) {
				r.fail(m.field+"."+key, "holds a zero byte")
			}
		}
	}
	if len(run.Secrets) > maxSettings {
		r.fail("run.secrets", fmt.Sprintf("has more than %d entries", maxSettings))
	}
	for i, s := range run.Secrets {
		r.check(fmt.Sprintf("run.secrets[%d]", i), checkSecretName(s))
	}
	for _, m := range []struct {
		field string
		has   *RecordResources
	}{{"run.limits", run.Limits}, {"run.requests", run.Requests}} {
		if m.has == nil {
			continue
		}
		for _, q := range []string{m.has.Memory, m.has.CPU} {
			if q != "" && (!quantityText.MatchString(q) || len(q) > 40) {
				r.fail(m.field, fmt.Sprintf("%q is not a quantity such as 128Mi or 100m", shorten(q)))
			}
		}
	}
}

func checkSecretName(s string) error {
	if !secretText.MatchString(s) || len(s) > maxLine || strings.Contains(s, "..") {
		return fmt.Errorf("%q cannot be the name of a secret", shorten(s))
	}
	return nil
}

// validateTrial returns an error unless t could be that of a record.
func validateTrial(t Trial) error {
	var errs []error
	if n := max(len(t.Environment), len(t.Secrets)); n > maxSettings {
		errs = append(errs, fmt.Errorf("has more than %d entries", maxSettings))
	}
	for key, value := range t.Environment {
		if !variableText.MatchString(key) || len(key) > maxLine || strings.ContainsRune(value, 0) || len(value) > maxExampleBody {
			errs = append(errs, fmt.Errorf("%q cannot be a variable, or its value is not one", shorten(key)))
		}
	}
	for name, value := range t.Secrets {
		errs = append(errs, checkSecretName(name), checkLength(value, maxExampleBody))
	}
	return errors.Join(errs...)
}

// about checks what people read.
func (r *storedReader) about(rec Record) {
	for field, err := range map[string]error{
		"title": checkLength(rec.Title, maxLine), "author": checkLength(rec.Author, maxLine), "license": checkLength(rec.License, maxLine),
		"description": checkLength(rec.Description, maxDescription), "readme": checkLength(rec.README, MaxReadmeSize),
		"icon": ValidateIcon(rec.Icon), "categories": validateCategories(rec.Categories),
	} {
		r.check(field, err)
	}
}

func checkLength(s string, most int) error {
	if len(s) > most {
		return fmt.Errorf("has %d bytes, but at most %d are allowed", len(s), most)
	}
	return nil
}

// shorten is a text as an error quotes it.
func shorten(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

// ValidateIcon returns an error unless icon is empty, an https: URL, or a data: URL
// of a small picture.
func ValidateIcon(icon string) error {
	switch {
	case icon == "", iconText.MatchString(icon) && len(icon) <= MaxIconSize:
		return nil
	case len(icon) > MaxIconSize:
		return checkLength(icon, MaxIconSize)
	case strings.HasPrefix(icon, "https://") && !strings.ContainsAny(icon, " \t\r\n\"'<>\\`"):
		return checkLength(icon, 10*maxLine)
	}
	return fmt.Errorf("%q is neither an https: URL nor a data: URL of a picture", shorten(icon))
}

// validateCategories returns an error unless each of categories is a word of a-z,
// 0-9 and -, and they are few.
func validateCategories(categories []string) error {
	if len(categories) > maxCategories {
		return fmt.Errorf("has more than %d entries", maxCategories)
	}
	var errs []error
	for _, c := range categories {
		if !storeName.MatchString(c) {
			errs = append(errs, fmt.Errorf("%q is not a category: use a-z, 0-9 and -, at most 40", shorten(c)))
		}
	}
	return errors.Join(errs...)
}

// ExampleMethods are the methods that the request of an example may have; none named
// is POST.
func ExampleMethods() []string {
	return []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
}

// ValidateExample returns an error unless e can be sent, and its answer be told
// from another.
func ValidateExample(e Example) error {
	if e.Method != "" {
		if err := checkMethod(e.Method); err != nil {
			return fmt.Errorf("method %w", err)
		}
	}
	if e.Path != "" {
		if err := checkRequestPath(e.Path); err != nil {
			return fmt.Errorf("path %w", err)
		}
	}
	if e.Status != 0 {
		if err := checkStatus(e.Status); err != nil {
			return fmt.Errorf("status %w", err)
		}
	}
	if err := checkAnswer(e); err != nil {
		return err
	}
	if err := checkHeaders(e.Headers); err != nil {
		return err
	}
	return errors.Join(checkExampleTitle(e.Title), checkExampleText(e.Body), checkExampleText(e.Contains), checkExampleText(e.Equals))
}

// checkAnswer returns an error if no answer can be as e says.
func checkAnswer(e Example) error {
	if e.Contains != "" && e.Equals != "" {
		return errors.New("says both what the answer contains and what it equals")
	}
	if e.Method == http.MethodHead && e.Contains+e.Equals != "" {
		return errors.New("says what the answer to HEAD has in it, and such an answer has no body")
	}
	return nil
}

func checkMethod(s string) error {
	if methods := ExampleMethods(); !slices.Contains(methods, s) {
		return fmt.Errorf("%q is not one of %s", shorten(s), strings.Join(methods, ", "))
	}
	return nil
}

func checkRequestPath(s string) error {
	if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.ContainsAny(s, " \t\r\n\\") || len(s) > 10*maxLine {
		return fmt.Errorf("%q does not begin with one /, or has a character that no URL has", shorten(s))
	}
	return nil
}

func checkStatus(status int) error {
	if status < 200 || status > 599 {
		return fmt.Errorf("%d is not the status of an answer", status)
	}
	return nil
}

func checkHeaders(headers map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(headers)) {
		if value := headers[key]; !headerText.MatchString(key) || strings.ContainsAny(value, "\r\n\x00") || len(key)+len(value) > 10*maxLine {
			return fmt.Errorf("%q is not a header", shorten(key))
		}
	}
	return nil
}

// checkFraming refuses headers of a request that the body decides. Records may have them: they
// do nothing.
func checkFraming(headers map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(headers)) {
		switch http.CanonicalHeaderKey(key) {
		case "Content-Length", "Transfer-Encoding":
			return fmt.Errorf("%q cannot be chosen: fnb sets it to fit the body", key)
		}
	}
	return nil
}

func checkExampleTitle(s string) error { return checkLength(s, maxLine) }

func checkExampleText(s string) error { return checkLength(s, maxExampleBody) }
