package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"fnb/pipeline"
	"fnb/schema"
	"fnb/store"
)

func newTemplate(g *globals) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "template",
		Short: "list, show, check and publish templates",
		Long:  "Template looks at what turns handlers into images. A template has four parts: a Dockerfile, an entrypoint, a handler and a package list.",
	})
	cmd.AddCommand(newTemplateList(g), newTemplateSearch(g), newTemplateShow(g), newTemplatePull(g), newTemplateInit(g), newTemplateLint(g), newTemplateTest(g), newTemplatePublish(g), newTemplateYank(g))
	return cmd
}

// where says what the stack file at hand, if any, means for templates.
func (g *globals) where() (store.Scope, error) {
	file, err := g.stackFile()
	if err != nil {
		wd, werr := filepath.Abs(".")
		return store.Scope{Root: wd}, werr
	}
	stack, err := schema.ReadStack(relative(file), os.LookupEnv)
	if err == nil {
		err = stack.Needs(nil, []string{"configuration"})
	}
	if err != nil {
		return store.Scope{}, err
	}
	lock, err := schema.ReadLock(pipeline.LockFile(stack.File))
	return store.Scope{Root: filepath.Dir(stack.File), Sources: stack.Configuration.Templates, Lock: lock, OpenFaaS: g.ofOpenFaaS(stack)}, err
}

// ownWord allows the folder that a template reference of the command line names: only
// the paths of a stack are to be confirmed.
func ownWord(where store.Scope, ref string) store.Scope {
	if r, err := schema.ParseTemplateRef(ref); err == nil && r.Kind == schema.RefFolder {
		dir := filepath.FromSlash(r.Dir)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(where.Root, dir)
		}
		where.Allow = append(where.Allow, dir)
	}
	return where
}

// storeHere is the store, and what the stack file at hand means for templates.
// Outside is what paths of that file may lead to beside its folder.
func (g *globals) storeHere(outside ...string) (*store.Finder, store.Scope, error) {
	st, err := g.newStore()
	if err != nil {
		return nil, store.Scope{}, err
	}
	where, err := g.where()
	if err != nil {
		return st, where, err
	}
	where.Allow, err = absolute(outside)
	return st, where, err
}

// completeTemplates lists templates for the shell.
func (g *globals) completeTemplates() []string {
	st, where, err := g.storeHere()
	if err != nil {
		return nil
	}
	entries, err := st.List(context.Background(), where)
	if err != nil {
		return nil
	}
	var names offers
	for _, e := range entries {
		names.add(e.Name, e.Description)
	}
	return names
}
