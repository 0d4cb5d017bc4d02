// Package rules defines policy.yaml, which says what a project and a machine may use: begin
// with [Read].
package rules

import (
	"time"

	"fnb/schema/document"
)

// FileName is what a policy is called, beside a stack file and in fnb's configuration folder.
const FileName = "policy.yaml"

// A Policy is the contents of policy.yaml. What it does not mention is allowed.
type Policy struct {
	Mode      Mode      `yaml:"mode,omitempty"`      // warn or enforce; without it, warn
	Templates Templates `yaml:"templates,omitempty"` // that functions are made with
	Bases     Images    `yaml:"bases,omitempty"`     // images that builds read
	Images    Images    `yaml:"images,omitempty"`    // images that are run or deployed
	Sources   Sources   `yaml:"sources,omitempty"`   // git repositories and URLs that builds read
	Watchdog  Watchdog  `yaml:"watchdog,omitempty"`  // that is put into images
	Builders  Builders  `yaml:"builders,omitempty"`  // that make images
	Packages  Packages  `yaml:"packages,omitempty"`  // that fnb lock --packages chooses

	// File is the policy's file, as [Read] was told; "" where there is none.
	File string `json:"-" yaml:"-"`
	// At is where each rule is, by its name: "bases.allow".
	At map[string]document.Spot `json:"-" yaml:"-"`
}

// A Mode says what comes of a breach.
type Mode string

// Modes.
const (
	Warn    Mode = "warn"    // it is told
	Enforce Mode = "enforce" // it is an error
)

// Templates are the rules for templates.
type Templates struct {
	Allow  []string `yaml:"allow,omitempty"`   // patterns: a store, namespace/name, store:namespace/name, a git URL, a folder
	Deny   []string `yaml:"deny,omitempty"`    // patterns that are refused, whatever allow says
	MinAge Age      `yaml:"min-age,omitempty"` // since a version was published, such as 7d
	Yanked string   `yaml:"yanked,omitempty"`  // refuse: a version that was withdrawn is refused, also one that fnb.lock has

	SignedBy SignedBy `yaml:"signed-by,omitempty"` // owner, or public keys; for each pattern, or for all
}

// Images are the rules for images.
type Images struct {
	Allow  []string `yaml:"allow,omitempty"`   // patterns of references, such as docker.io/library/*
	Deny   []string `yaml:"deny,omitempty"`    // patterns that are refused, whatever allow says
	Digest string   `yaml:"digest,omitempty"`  // locked: each has a digest, of its own or of fnb.lock
	MinAge Age      `yaml:"min-age,omitempty"` // since an image was made, such as 3d

	SignedBy SignedBy `yaml:"signed-by,omitempty"` // public keys, or files of them beside the policy; for each pattern, or for all
}

// Sources are the rules for what builds fetch beside images.
type Sources struct {
	Allow []string `yaml:"allow,omitempty"` // patterns of URLs, such as https://github.com/acme/**
	Deny  []string `yaml:"deny,omitempty"`  // patterns that are refused, whatever allow says
}

// A Watchdog is the rules for watchdogs.
type Watchdog struct {
	Min string `yaml:"min,omitempty"` // the lowest version
}

// Builders are the rules for builders.
type Builders struct {
	MinVersion string `yaml:"min-version,omitempty"` // the lowest version of BuildKit
}

// Packages are the rules for packages of languages.
type Packages struct {
	MinAge Age `yaml:"min-age,omitempty"` // since a version was published, such as 3d
}

// SignedBy says who must have signed things. Each of its rules holds for what its pattern is for.
type SignedBy []Signers

// Signers is a rule about who must have signed something: one of them.
type Signers struct {
	For string   // a pattern; "" is for everything
	By  []string // Owner, public keys as OpenSSH writes them, and files of public keys, relative to the policy's
	// At is where the rule is.
	At document.Spot
}

// Owner is an owner of the namespace of a template in its store: whoever may publish there.
const Owner = "owner"

// An Age is how long something has to be there before it is used, written 12h, 7d or 2w.
type Age time.Duration
