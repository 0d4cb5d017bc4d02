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
    5  a registry refused
    6  the builder cannot be reached
    7  something newer exists
  130  interrupted

Where several functions fail for different reasons, 3 wins.`),
		topic("environment", "the environment variables that fnb reads", `  FNB_…                        the value of each long flag: FNB_BUILDER for --builder
  BUILDKIT_HOST                the builder's address, where FNB_BUILDER is not set
  FNB_CONFIG                   fnb's settings (default fnb/config.yaml below XDG_CONFIG_HOME)
  FNB_PREFIX, OPENFAAS_PREFIX  registry and owner for the images of new functions
  DOCKER_CONFIG                folder of Docker's config.json, with the credentials
  SOURCE_DATE_EPOCH            the time in images, in seconds since 1970
  HTTP_PROXY, HTTPS_PROXY, NO_PROXY, ALL_PROXY
                               passed to builds; never part of an image or a cache key
  FNB_BUILDER_NETWORK          own, or host: RUN steps of fnb's own builder then reach this machine
  NO_COLOR                     no colours
  XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_CACHE_HOME, XDG_RUNTIME_DIR
                               where fnb keeps its files

A flag wins over the environment, the environment over the stack file, the stack file over a default.`),
	}
}
