package main

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"fnb/internal/plain"
	"fnb/rollout"
	"fnb/schema"
	"fnb/schema/deploy"
)

// target is where functions of a namespace are deployed to.
func (g *globals) target(o *deployOptions, stack *schema.Stack) (func(namespace string) (rollout.Target, error), error) {
	if o.to != "openfaas" {
		platform, _ := deploy.Find(deploy.Platforms(), o.to) // all of them are there
		return func(namespace string) (rollout.Target, error) {
			return rollout.NewCluster(platform, rollout.ClusterOptions{Context: o.context, Namespace: namespace, Force: o.force}), nil
		}, nil
	}
	named := cmp.Or(o.gateway.url, os.Getenv("OPENFAAS_URL"))
	url := cmp.Or(named, stack.Provider.Gateway, "http://127.0.0.1:8080")
	if o.gateway.stdin && named == "" && url == stack.Provider.Gateway {
		return nil, &usageError{command: "fnb deploy", err: errors.New("a password goes to no gateway that only the stack file names"), hints: []string{"if it may have the password, name it: --gateway " + plain.ShellWord(url)}}
	}
	options := rollout.GatewayOptions{URL: url, Plaintext: o.gateway.plaintext, UserAgent: userAgent()}
	if _, err := rollout.NewGateway(options); err != nil {
		return nil, &usageError{command: "fnb deploy", err: err}
	}
	login, err := g.gatewayLogin(o, url)
	options.Login = login
	return func(namespace string) (rollout.Target, error) {
		options.Namespace = namespace
		return rollout.NewGateway(options)
	}, err
}

// gatewayLogin is who the user is to a gateway: by the command line, or as faas-cli keeps it.
func (g *globals) gatewayLogin(o *deployOptions, url string) (rollout.Login, error) {
	if o.gateway.stdin {
		password, err := g.readPassword(true, url)
		return rollout.Login{User: cmp.Or(o.gateway.user, "admin"), Password: password, From: "--password-stdin"}, err
	}
	if o.gateway.user != "" {
		return rollout.Login{}, usagef("fnb deploy", "--username without --password-stdin: the password is missing")
	}
	dir := os.Getenv("OPENFAAS_CONFIG")
	if dir == "" { // a job has its own in the working directory
		if ci := os.Getenv("CI"); ci == "true" || ci == "1" {
			dir = ".openfaas"
		}
	}
	home, err := os.UserHomeDir()
	switch {
	case err != nil && (dir == "" || strings.HasPrefix(dir, "~/")):
		return rollout.Login{}, nil // nobody has logged in
	case dir == "":
		dir = filepath.Join(home, ".openfaas")
	case strings.HasPrefix(dir, "~/"):
		dir = filepath.Join(home, dir[2:])
	}
	return rollout.ReadLogin(filepath.Join(dir, "config.yml"), url)
}
