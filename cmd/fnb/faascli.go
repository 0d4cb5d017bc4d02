package main

import (
	"cmp"
	"errors"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fnb/schema"
)

// flagOfFaasCLI lets flags be written as in faas-cli where they mean the same.
func flagOfFaasCLI(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	switch name {
	case "yaml":
		name = "file"
	case "platforms":
		name = "platform"
	case "build-label":
		name = "label"
	case "copy-extra":
		name = "copy"
	}
	return pflag.NormalizedName(name)
}

// newPublish is fnb build --push by faas-cli's word, for scripts that have it.
func newPublish(g *globals) *cobra.Command {
	cmd := newBuild(g)
	cmd.Use, cmd.Hidden, cmd.Example = "publish [FUNCTION…]", true, ""
	cmd.Short = "build functions and push their images, as fnb build --push does"
	build := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := cmd.Flags().Set("push", "true"); err != nil {
			return err
		}
		return build(cmd, args)
	}
	return cmd
}

// ofFaasCLI says what to type in the place of a command of faas-cli's that fnb does not
// have; nil for any other word.
func ofFaasCLI(group, word string) []string {
	gateway := func(what string) []string {
		return []string{"fnb only deploys by an OpenFaaS gateway; " + what + " with: faas-cli " + word}
	}
	words := map[string]map[string][]string{
		"fnb": {
			"local-run":      {"run functions here with: fnb run"},
			"registry-login": {"log in with: fnb login"},
			"list":           append([]string{"the functions of a store: fnb store list"}, gateway("see what is deployed")...),
			"ls":             append([]string{"the functions of a store: fnb store list"}, gateway("see what is deployed")...),
			"describe":       append([]string{"a function of a store: fnb store show NAME"}, gateway("see what is deployed")...),
			"logs":           append([]string{"fnb run shows the logs of what runs here"}, gateway("read the logs of what is deployed")...),
			"remove":         gateway("remove what is deployed"),
			"rm":             gateway("remove what is deployed"),
			"delete":         gateway("remove what is deployed"),
			"auth":           append([]string{"log in to a registry with: fnb login"}, gateway("log in to a gateway")...),
			"secret":         append([]string{"give a function a secret here: fnb run --secret id=NAME,src=FILE"}, gateway("keep secrets in a cluster")...),
			"namespaces":     gateway("list namespaces"),
			"ready":          gateway("wait for a gateway"),
			"plugin":         {"fnb has no plugins; see what it does with: fnb --help"},
			"pro":            {"fnb has no paid part; see what it does with: fnb --help"},
			"cloud":          gateway("seal secrets"),
		},
		"fnb template": {
			"store": {"list all templates with: fnb template list", "write one into the project with: fnb template pull NAME"},
		},
		"fnb store": {
			"deploy":   {"deploy a function of a store with: fnb store show NAME --as openfaas | kubectl apply -f -"},
			"describe": {"see a function of a store with: fnb store show NAME"},
			"inspect":  {"see a function of a store with: fnb store show NAME"},
		},
	}
	return words[group][word]
}

// A lone function is built without a stack file, as faas-cli does it.
type lone struct{ lang, handler, image, name string }

func (l *lone) addFlags(f *pflag.FlagSet) {
	f.StringVar(&l.lang, "lang", "", "without a stack file: build with `TEMPLATE`")
	f.StringVar(&l.handler, "handler", "", "without a stack file: build the handler in `DIR`")
	f.StringVar(&l.image, "image", "", "without a stack file: call the image `REF`")
	f.StringVar(&l.name, "name", "", "without a stack file: call the function `NAME` (default the handler's folder)")
	for _, name := range []string{"lang", "handler", "image", "name"} { // FNB_LANG is meant for fnb new
		_ = f.SetAnnotation(name, notFromEnvironment, nil) // the flag is there
	}
}

// notFromEnvironment is the annotation of flags that no variable sets.
const notFromEnvironment = "fnb_not_from_environment"

// paths are the folders that the command line names, which so are the user's own word.
func (l lone) paths() []string {
	var paths []string
	if l.handler != "" {
		paths = append(paths, l.handler)
	}
	if ref, err := schema.ParseTemplateRef(l.lang); err == nil && ref.Kind == schema.RefFolder {
		paths = append(paths, filepath.FromSlash(ref.Dir))
	}
	return paths
}

// stack is one of the function, in the working directory.
func (l lone) stack() (*schema.Stack, error) {
	var missing []string
	for _, f := range []struct{ flag, value string }{{"--lang", l.lang}, {"--handler", l.handler}, {"--image", l.image}} {
		if f.value == "" {
			missing = append(missing, f.flag)
		}
	}
	if len(missing) > 0 {
		return nil, usagef("fnb build", "without a stack file a function needs %s too", strings.Join(missing, " and "))
	}
	file, err := filepath.Abs("stack.yaml")
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(l.handler)
	if err != nil {
		return nil, err
	}
	name := cmp.Or(l.name, strings.ToLower(filepath.Base(dir)))
	fn := schema.Function{Name: name, Lang: l.lang, Handler: l.handler, Image: l.image}
	if err := errors.Join(schema.ValidateFunctionName(name), checkLang(l.lang)); err != nil {
		return nil, usagef("fnb build", "%w", err)
	}
	return &schema.Stack{File: file, Functions: []schema.Function{fn}}, nil
}

func checkLang(lang string) error {
	_, err := schema.ParseTemplateRef(lang)
	return err
}
