package main

import "github.com/spf13/cobra"

// helpTopics are pages of fnb help that belong to no command.
func helpTopics() []*cobra.Command {
	topic := func(name, short, text string) *cobra.Command {
		return &cobra.Command{Use: name, Short: short, Long: text}
	}
	return []*cobra.Command{
		topic("exit-codes", "what fnb's exit codes mean", `    0  done
    1  an error
    2  wrong usage
    3  a function's build failed
    4  a template, function or image was not found, or is not what the lock says
    5  a registry refused, or does not answer
    6  the builder cannot be reached
    7  something newer exists, or fnb deploy --diff found something
    8  the policy refuses it, or a signature does not hold
    9  a platform does not run a function that is deployed to it
   10  fnb audit found what --fail-on does not allow
  126  fnb shell: COMMAND cannot be run
  127  fnb shell: COMMAND was not found
  130  interrupted

Where several functions fail for different reasons, 3 wins. fnb shell ends with the exit code of its shell or COMMAND.`),
		topic("tasks", "what to type for what people do often", `  begin                          fnb new hello --lang go, or in a project that is there: fnb adopt
  install it on another machine  sh install.sh VERSION, or a release's package
  see what is missing here       fnb doctor
  install packages from a        build_secrets: {pipconf: ./pip.conf} at the function in stack.yaml,
    private registry             or fnb build --secret id=pipconf,src=pip.conf
  install a Debian package       build_args: {ADDITIONAL_PACKAGE: jq} at the function in stack.yaml
  see why it was built again     fnb build --why
  see what is newer, and move    fnb outdated, then fnb update
    pins of fnb.lock to it
  build what a change concerns   fnb build --changed-since origin/main
  build and push in CI           fnb ci init github
  build on another machine       fnb build --builder tcp://HOST:1234 --builder-tlsdir DIR
  trust a company's authority    fnb build --build-ca company.pem
  stop at a line of a function   fnb run NAME --watch --debug --editor vscode
  look into a build that fails   fnb build --progress plain --no-cache, fnb build --context-only DIR
  prove what an image is of      fnb verify --rebuild REF
  list what is in an image       fnb sbom NAME
  sign an image, and verify it   fnb sign REF --key KEY, fnb verify REF --key KEY
  find known holes               fnb audit --update-db, then fnb audit
  deploy it                      fnb deploy --to kubernetes, and back with --rollback
  write what deploys it          fnb generate kubernetes
  have a store of your own       fnb store init DIR

The documents have a page for each: docs/index.md in fnb's repository.`),
		topic("environment", "the environment variables that fnb reads", `  FNB_…                        the value of each long flag: FNB_BUILDER for --builder
  BUILDKIT_HOST                the builder's address, where FNB_BUILDER is not set
  FNB_CONFIG                   fnb's settings (default fnb/config.yaml below XDG_CONFIG_HOME)
  FNB_PREFIX, OPENFAAS_PREFIX  registry and owner for the images of new functions
  OPENFAAS_URL                 the gateway that fnb deploy speaks to
  OPENFAAS_CONFIG              folder of faas-cli's config.yml, with the credentials of gateways (default ~/.openfaas)
  FNB_KEY_PASSWORD, COSIGN_PASSWORD
                               password of the key that signs
  DOCKER_CONFIG                folder of Docker's config.json, with the credentials
  DOCKER_AUTH_CONFIG, REGISTRY_AUTH_FILE
                               credentials of registries, as GitLab's jobs and podman have them
  SOURCE_DATE_EPOCH            the time in images, in seconds since 1970
  HTTP_PROXY, HTTPS_PROXY, NO_PROXY, ALL_PROXY
                               passed to builds; never part of an image or a cache key
  FNB_BUILDER_NETWORK          own, or host: RUN steps of fnb's own builder then reach this machine
  FNB_BUILDER_ROOT             folder of fnb's own builder, for its cache (default fnb/builder below XDG_DATA_HOME)
  FNB_BUILDER_SNAPSHOTTER      native has fnb's own builder copy every layer, where there is no overlayfs
  FNB_GIT_TOKEN_HOST           a token, or USER:TOKEN, for the git repositories of HOST, with _ for each dot and __ for
                               each hyphen: FNB_GIT_TOKEN_GIT_EXAMPLE_COM for git.example.com
  GH_TOKEN, GITHUB_TOKEN, GITLAB_TOKEN, CI_JOB_TOKEN
                               tokens for github.com, gitlab.com and, in its jobs, the GitLab that runs them
  NETRC                        file with logins of git's hosts (default .netrc below HOME)
  OSV_SCANNER_LOCAL_DB_CACHE_DIRECTORY
                               folder of the advisories for fnb audit, where --db names none
  FNB_PRIVATE_HOSTS            hosts with commas between that every store may name, though they are private
  NO_COLOR                     no colours
  XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_CACHE_HOME, XDG_RUNTIME_DIR
                               where fnb keeps its files

A flag wins over the environment, the environment over the stack file, the stack file over a default.`),
	}
}

// describeCobra has the commands that cobra brings speak as the others do.
func describeCobra(root *cobra.Command) {
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Short = "show the help of a command or a topic"
		case "completion":
			c.Short = "print what a shell needs to complete commands"
			c.Long = "Completion prints a script for a shell, which then completes commands, flags and names. The help of each shell says how to load it."
			for _, shell := range c.Commands() {
				shell.Short = "print the script for " + shell.Name()
			}
		}
	}
}
