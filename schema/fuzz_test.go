package schema_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"fnb/schema"
	"fnb/schema/document"
	"fnb/schema/services"
)

// seed adds every file of some folders of testdata to the corpus.
func seed(f *testing.F, dirs ...string) {
	f.Helper()
	for _, dir := range dirs {
		paths, err := filepath.Glob(filepath.Join("testdata", dir, "*"))
		if err != nil || len(paths) == 0 {
			f.Fatalf("no seeds in %s: %v", dir, err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
}

// checkProblems fails unless all that err joins are field errors of the file,
// each on one line and in order.
func checkProblems(t *testing.T, file string, err error) {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%T does not join errors", err)
	}
	line := 0
	for _, e := range joined.Unwrap() {
		field, ok := errors.AsType[*document.FieldError](e)
		if !ok || field.File != file || field.Line < line || field.Problem == "" {
			t.Fatalf("problem %#v behind line %d", e, line)
		}
		line = field.Line
	}
}

func FuzzParseStack(f *testing.F) {
	seed(f, "stack/valid", "stack/invalid")
	f.Fuzz(func(t *testing.T, data []byte) {
		stack, err := schema.ParseStack("s.yaml", data, environment)
		if err != nil {
			checkProblems(t, "s.yaml", err)
			return
		}
		unset := cmpopts.IgnoreUnexported(schema.Stack{})
		if stack.Needs(stack.Functions, append(schema.DeployKeys(), schema.BuildKeys()...)) != nil {
			return // a value is missing, which whoever needs it is told
		}
		for _, fn := range stack.Functions {
			if err := schema.ValidateFunctionName(fn.Name); err != nil || fn.Image == "" || fn.Line < 1 {
				t.Errorf("%+v was accepted (%v)", fn, err)
			}
		}
		// Unlike with an environment, nothing is replaced; what needs no
		// replacing has to read the same.
		if plain, err := schema.ParseStack("s.yaml", data, nil); err != nil {
			t.Errorf("without an environment: %v", err)
		} else if !bytes.Contains(data, []byte("$")) && !cmp.Equal(plain, stack, unset) {
			t.Errorf("an environment that is not used changes %s", cmp.Diff(plain, stack, unset))
		}
	})
}

func FuzzParseManifest(f *testing.F) {
	seed(f, "template/valid", "template/invalid")
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := schema.ParseManifest("t.yml", data)
		if err != nil {
			checkProblems(t, "t.yml", err)
			return
		}
		if m.HandlerFolder != "" && !filepath.IsLocal(m.HandlerFolder) {
			t.Errorf("handler folder %q was accepted", m.HandlerFolder)
		}
	})
}

func FuzzParseLock(f *testing.F) {
	seed(f, "lock/valid", "lock/invalid")
	f.Fuzz(func(t *testing.T, data []byte) {
		lock, err := schema.ParseLock("fnb.lock", data)
		if err != nil {
			return
		}
		written := lock.Marshal()
		again, err := schema.ParseLock("fnb.lock", written)
		if err != nil {
			t.Fatalf("%v\n%s", err, written)
		}
		if !bytes.Equal(written, again.Marshal()) {
			t.Errorf("written twice:\n%s\n%s", written, again.Marshal())
		}
		if diff := cmp.Diff(lock.Templates, again.Templates, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzParseTemplateRef(f *testing.F) {
	for _, text := range []string{
		"go", "acme/go@^1", "main:acme/go@>=1, <2", "go@sha-0123abc", "https://host/org/repo//path#ref",
		"ssh://git@host:22/t", "git@host:org/repo.git//p#r", "file:///srv/t", "./x", "../x", "/abs",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := schema.ParseTemplateRef(text)
		if err != nil {
			return
		}
		if ref.String() != text {
			t.Errorf("%q is written %q", text, ref)
		}
		for _, s := range []string{ref.URL, ref.Ref, ref.Path, ref.Range, ref.Name, ref.Dir} {
			if strings.HasPrefix(s, "-") {
				t.Errorf("%q has a part that git may take for an option: %q", text, s)
			}
		}
	})
}

func FuzzParsePlatforms(f *testing.F) {
	for _, text := range []string{"linux/amd64", "linux/arm64/v8,linux/arm/v7", "x86_64", "linux/armhf", ","} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		platforms, err := schema.ParsePlatforms(text)
		if err != nil {
			return
		}
		again, err := schema.ParsePlatforms(platforms.String())
		if diff := cmp.Diff(platforms, again); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", text, err, diff)
		}
	})
}

func FuzzAddFunction(f *testing.F) {
	paths, err := filepath.Glob("testdata/stack/*/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "fprocess: x")
	}
	for _, text := range []string{"", "functions: {}", "{functions: {a: {}}}", "functions:\r\n  a: {}\r\n", "functions: ~ # x\nversion: 1.0\n"} {
		f.Add([]byte(text), "- \x00\u2028\ufeff")
	}
	f.Fuzz(func(t *testing.T, data []byte, value string) {
		fn := hello()
		fn.FProcess = value
		fn.Environment = map[string]string{"A": value, value: "A"}
		got, err := schema.AddFunction(data, fn)
		if err != nil {
			return
		}
		old, err := schema.ParseStack("s.yaml", data, nil)
		if err != nil {
			return // what AddFunction keeps need not be a valid stack
		}
		stack, err := schema.ParseStack("s.yaml", got, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, got)
		}
		ignore, unset := cmpopts.IgnoreFields(schema.Function{}, "Line"), cmpopts.IgnoreUnexported(schema.Stack{})
		added := stack.Functions[len(stack.Functions)-1]
		if diff := cmp.Diff(fn, added, ignore); diff != "" {
			t.Errorf("the function (-want +got):\n%s\n%s", diff, got)
		}
		stack.Functions = stack.Functions[:len(stack.Functions)-1]
		line := cmpopts.IgnoreFields(services.Service{}, "Line")
		if diff := cmp.Diff(old, stack, ignore, line, unset, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("the rest (-want +got):\n%s\n%s", diff, got)
		}
	})
}

// FuzzSubstitute holds that a text without variables stays as it is, that what a variable
// holds is not looked at again, and that each variable that is used was asked for.
func FuzzSubstitute(f *testing.F) {
	for _, text := range []string{"${A}", "${A:-b}", "$$A", "${A:-${B:-c}}", "a$", "${", "${A:-}", "$${A}", "${EMPTY:-x}}"} {
		f.Add(text, "v")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufeff' }) {
			return
		}
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		data := []byte("functions:\n  a: {lang: go, handler: ./a, image: i, fprocess: " + string(quoted) + "}\n")
		read := func(env func(string) (string, bool)) (string, error) {
			stack, err := schema.ParseStack("s.yaml", data, env)
			if err != nil {
				return "", err
			}
			return stack.Functions[0].FProcess, nil
		}
		plain, err := read(nil)
		if err != nil {
			return
		}
		asked := 0
		got, err := read(func(string) (string, bool) { asked++; return value, true })
		if err != nil {
			return
		}
		if !strings.Contains(text, "$") && (got != plain || asked > 0) {
			t.Errorf("%q became %q", text, got)
		}
		if asked == 0 && got != strings.ReplaceAll(plain, "$$", "$") && !strings.Contains(plain, "${") {
			t.Errorf("%q became %q", text, got)
		}
		if most := len(text) + asked*len(value); len(got) > most {
			t.Errorf("%q became %d bytes, more than %d", text, len(got), most)
		}
	})
}
