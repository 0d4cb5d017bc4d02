// Package rebaseplan defines what fnb rebase plans and has done: a [Plan] is a file that people read
// and fnb carries out, and its [Journal] the file beside it.
package rebaseplan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"

	"fnb/internal/disk"
)

// Format is the version of the files; another one is not read.
const Format = 1

// maxFile is how many bytes of a plan are read.
const maxFile = 256 << 20

// An Action is what is to be done with an image.
type Action string

// Actions.
const (
	Rebase  Action = "rebase"  // its base image or watchdog is replaced, without a build
	Rebuild Action = "rebuild" // it has what is to be replaced, and nobody can prove that replacing it is safe
	Nothing Action = "nothing" // it has nothing that is to be replaced, or has the new one already
)

// A Plan says what is to be done with images. It is only carried out as it was written.
type Plan struct {
	Version  int               `json:"version"`
	FNB      string            `json:"fnb"` // version of the fnb that has made it, which alone carries it out
	Bases    []Base            `json:"bases,omitempty"`
	Watchdog map[string]string `json:"watchdog,omitempty"` // new layer by platform
	Counts   map[Action]int    `json:"counts"`
	Images   []Image           `json:"images"`
	Checksum string            `json:"checksum"` // of all the rest
}

// A Base is a base image that is replaced by what its reference names now.
type Base struct {
	Reference string   `json:"reference"`
	Digest    string   `json:"digest"`            // the new one's
	Changes   []string `json:"changes,omitempty"` // packages that differ from an old one, of one platform
}

// An Image is one image and what is to be done with it.
type Image struct {
	Function   string     `json:"function,omitempty"` // its name in the stack file
	Repository string     `json:"repository"`
	Tags       []string   `json:"tags"`   // those that name it
	Digest     string     `json:"digest"` // of what they name
	Action     Action     `json:"action"`
	Why        string     `json:"why"`
	Template   string     `json:"template,omitempty"`
	Class      string     `json:"class,omitempty"`   // of images of which one stands for all
	Becomes    string     `json:"becomes,omitempty"` // digest of what a build is held to give
	Inputs     string     `json:"inputs,omitempty"`  // input digest of what it becomes; "" is not known
	Base       *Change    `json:"base,omitempty"`
	Platforms  []Platform `json:"platforms,omitempty"`
}

// A Change is a base image that is replaced.
type Change struct {
	Reference string `json:"reference"`
	From      string `json:"from"`
	To        string `json:"to"`
}

// A Platform is the image of a platform.
type Platform struct {
	Platform string `json:"platform"`
	Digest   string `json:"digest"`
	Becomes  string `json:"becomes,omitempty"`
}

// Reference is the image by its digest.
func (i *Image) Reference() string { return i.Repository + "@" + i.Digest }

// Name is what the image is called where it is shown: its first tag, if it has one.
func (i *Image) Name() string {
	if len(i.Tags) > 0 {
		return i.Repository + ":" + i.Tags[0]
	}
	return i.Reference()
}

func (p *Plan) sum() (string, error) {
	bare := *p
	bare.Checksum = ""
	raw, err := json.Marshal(bare)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// count is how many images there are of each action.
func (p *Plan) count() map[Action]int {
	n := map[Action]int{Rebase: 0, Rebuild: 0, Nothing: 0}
	for _, i := range p.Images {
		n[i.Action]++
	}
	return n
}

// Write writes a plan, counted and with its checksum.
func (p *Plan) Write(file string) error {
	p.Version, p.Counts = Format, p.count()
	var err error
	if p.Checksum, err = p.sum(); err != nil {
		return err
	}
	raw, err := p.encode()
	if err != nil {
		return err
	}
	return disk.ReplaceFile(file, raw, 0o644)
}

func (p *Plan) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(p)
	return b.Bytes(), err
}

// as reports whether a plan was read from what is written of it, but for spaces: so that what a person reads, in which a key may
// stand twice, is what is carried out.
func (p *Plan) as(raw []byte) bool {
	var is, want bytes.Buffer
	written, err := p.encode()
	return err == nil && json.Compact(&is, raw) == nil && json.Compact(&want, written) == nil && bytes.Equal(is.Bytes(), want.Bytes())
}

// A BadError says why a plan is not carried out.
type BadError struct {
	File string
	Why  string
}

func (e *BadError) Error() string { return e.File + ": " + e.Why }

// Read reads a plan that fnb of a version has written. One that is something else, or was changed, is a [*BadError].
func Read(file, version string) (*Plan, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	bad := func(format string, args ...any) (*Plan, error) {
		return nil, &BadError{File: file, Why: fmt.Sprintf(format, args...)}
	}
	if !info.Mode().IsRegular() {
		return bad("is not a file")
	}
	if info.Size() > maxFile {
		return bad("has %d bytes, more than the %d that are read", info.Size(), maxFile)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	raw, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, err
	}
	var p Plan
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil || p.Version == 0 {
		return bad("is not a plan of fnb rebase")
	}
	if p.Version != Format || p.FNB != version {
		return bad("was made by fnb %s, and not by this one, %s: what one proves another need not write", p.FNB, version)
	}
	sum, err := p.sum()
	if err != nil {
		return nil, err
	}
	if sum != p.Checksum || !p.as(raw) || !maps.Equal(p.Counts, p.count()) || len(p.Counts) != 3 {
		return bad("was changed since it was made: its checksum is not that of what it says")
	}
	return &p, nil
}

var errForeign = errors.New("the journal is of another plan")
