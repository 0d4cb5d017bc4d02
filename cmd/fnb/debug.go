package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"fnb/internal/plain"
	"fnb/pipeline/editor"
	"fnb/pipeline/serve"
)

// debugFlags are those for debuggers of functions that run.
type debugFlags struct {
	debug  debugPort
	editor string

	address map[string]debugAddress // by function, once they are known
}

// A debugAddress is where a function's debugger is.
type debugAddress struct {
	Address string `json:"address"`
	Adapter string `json:"adapter"`
	Folder  string `json:"folder,omitempty"`
}

func (o *debugFlags) addFlags(f *pflag.FlagSet) {
	f.Var(&o.debug, "debug", "start functions under a debugger, and forward the local port PORT to it (default the template's, those of further functions follow; 0 is any)")
	f.Lookup("debug").NoOptDefVal = debugPortName
	f.StringVar(&o.editor, "editor", "", "with --debug, write how to attach for the editor `NAME`: vscode")
}

func (o *debugFlags) check(command string) error {
	switch {
	case o.editor != "" && !o.debug.on:
		return usagef(command, "--editor does nothing without --debug")
	case o.editor != "" && o.editor != "vscode":
		return usagef(command, "--editor %s: the editor that fnb knows is vscode", plain.Short(o.editor))
	}
	return nil
}

// options are nil without --debug.
func (o *debugFlags) options(g *globals, folder string) *serve.DebugOptions {
	if !o.debug.on {
		return nil
	}
	return &serve.DebugOptions{Port: o.debug.port, Opened: func(all []serve.Debugger) error { return o.opened(g, folder, all) }}
}

// opened says where debuggers are, and tells the editor.
func (o *debugFlags) opened(g *globals, folder string, all []serve.Debugger) error {
	o.address = map[string]debugAddress{}
	var attach []editor.Attach
	for _, d := range all {
		if d.Err != nil {
			fmt.Fprintf(g.err, "fnb: %s: it runs without a debugger: %s\n", d.Function.Name, plain.Line(d.Err.Error()))
			continue
		}
		a := debugAddress{d.Address.String(), plain.Line(d.Debug.Adapter), plain.Line(d.Debug.Folder)}
		o.address[d.Function.Name] = a
		fmt.Fprintf(g.err, "fnb: %s: debugger %s at %s\n", d.Function.Name, a.Adapter, a.Address)
		attach = append(attach, editor.Attach{
			Function: d.Function.Name, Adapter: d.Debug.Adapter, Host: d.Address.IP.String(), Port: d.Address.Port,
			Folder: d.Debug.Folder, Handler: d.Function.Handler,
		})
	}
	if o.editor == "" {
		return nil
	}
	names, err := editor.VSCode(folder, attach)
	if foreign, ok := errors.AsType[*editor.ForeignError](err); ok {
		fmt.Fprintf(g.err, "fnb: %s; put this into its configurations:\n%s\n", foreign, plain.Lines(strings.Join(foreign.Entries, ",\n")))
		return nil
	}
	if err != nil {
		return fmt.Errorf("writing for the editor: %w", err)
	}
	for _, name := range names {
		fmt.Fprintf(g.err, "fnb: attach with %q of %s\n", plain.Line(name), relative(filepath.Join(folder, ".vscode", "launch.json")))
	}
	return nil
}

// debugPortName stands for the template's port.
const debugPortName = "PORT"

// A debugPort is the value of --debug[=PORT].
type debugPort struct {
	on   bool
	port int
}

// String implements [pflag.Value].
func (d *debugPort) String() string {
	if !d.on {
		return ""
	}
	if d.port == serve.TemplatePort {
		return debugPortName
	}
	return strconv.Itoa(d.port)
}

// Set implements [pflag.Value]. A variable of the environment has "true" for a flag without a value.
func (d *debugPort) Set(s string) error {
	switch s {
	case debugPortName, "true":
		d.on, d.port = true, serve.TemplatePort
		return nil
	case "false":
		d.on = false
		return nil
	}
	port, err := strconv.Atoi(s)
	if err != nil || port < 0 || port > 65535 {
		return errors.New("it is 0 to 65535")
	}
	d.on, d.port = true, port
	return nil
}

// Type implements [pflag.Value]: as a switch, which may have a value.
func (d *debugPort) Type() string { return "bool" }
