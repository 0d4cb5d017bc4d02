package main

import (
	"errors"
	"io/fs"
	"strings"

	"fnb/internal/plain"
	"fnb/policy"
	"fnb/schema/words"
)

// policyHints say what would satisfy the rules that were broken.
func policyHints(err error) []string {
	if is[*refusedError](err) {
		return nil
	}
	var out []string
	if k, ok := errors.AsType[*policy.KeyError](err); ok && errors.Is(k.Err, fs.ErrNotExist) {
		out = append(out, "put the public key there: fnb key export NAME > "+plain.ShellWord(relative(k.File)))
	}
	for _, e := range deepest(err) {
		if r, ok := errors.AsType[*policy.Refusal](e); ok {
			out = append(out, satisfying(r))
		}
	}
	return out
}

// deepest takes an error apart as far as it is several.
func deepest(err error) []error {
	if several, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // it is taken apart here
		var out []error
		for _, e := range several.Unwrap() {
			out = append(out, deepest(e)...)
		}
		return out
	}
	if inner := errors.Unwrap(err); inner != nil {
		return deepest(inner)
	}
	return []error{err}
}

// satisfying is what to type so that one rule is satisfied.
func satisfying(r *policy.Refusal) string {
	_, key, _ := strings.Cut(r.Rule, ".")
	ref := plain.ShellWord(r.Reference)
	switch {
	case key == "min-age" && strings.Contains(r.Why, "this machine's clock"):
		return "if the clock is wrong, set it; see it with: date -u"
	case key == "min-age" && r.Kind == policy.KindPackages:
		return "make the lock with the package manager itself, such as: npm install --package-lock-only --before DATE, or uv lock --exclude-newer DATE"
	case key == "min-age":
		return "wait, or once somebody has reviewed it, pin it with: fnb lock --reviewed " + ref
	case key == "signed-by" && r.Kind == policy.KindTemplate:
		return "see who has signed it with: fnb template show " + ref
	case key == "signed-by":
		return "if it is yours, sign it with: fnb sign " + plain.ShellWord(r.Name) + " --key KEY"
	case key == "digest":
		return "pin it by its digest with: fnb lock"
	case key == "yanked" && r.Use != "":
		return "move the pin to another version, such as " + r.Use + ", with: fnb update " + ref
	case key == "yanked":
		return "move the pin to another version with: fnb update " + ref
	case r.Kind == policy.KindWatchdog && r.Name == words.WatchdogDefault:
		return "install a newer fnb, whose watchdog is its own"
	case r.Kind == policy.KindWatchdog:
		return "have fnb put its own in: --watchdog default"
	case r.Kind == policy.KindBuilder:
		return "let fnb start its own builder, which is new enough: leave out --builder, FNB_BUILDER and BUILDKIT_HOST"
	case r.Kind == policy.KindTemplate && key == "allow":
		return "see which templates there are with: fnb template list"
	}
	return "use another one, or see what else the policy would refuse with: fnb policy test"
}
