package main

import (
	"errors"
	"net/url"
	"strings"

	"fnb/builder"
	"fnb/builder/engine"
	"fnb/builder/fleet"
	"fnb/builder/target"
	"fnb/internal/plain"
)

// withContainer is how a BuildKit is had wherever docker works, on Windows too.
const withContainer = "or have a BuildKit in a container: docker run --detach --privileged --name buildkitd moby/buildkit, and name it with: --builder docker-container://buildkitd"

// otherBuilder says how to go on with another builder than the one that does not answer.
func otherBuilder() string {
	hint := "name another BuildKit with: --builder ADDRESS"
	if embedded {
		hint += ", or leave FNB_BUILDER and BUILDKIT_HOST unset for fnb's own"
	}
	return hint
}

// engineHints say what to type if a Docker Engine is not there, or not for this user.
func engineHints(err error) []string {
	const start = "start the Docker Engine, or say where it is in DOCKER_HOST; docker says where it finds one: docker context ls"
	if e, ok := errors.AsType[*target.EngineError](err); ok {
		return []string{mayNot(e.Err, start), "or keep the image without one: fnb build, without --load"}
	}
	if is[*fleet.NoBuilderError](err) {
		return []string{"start buildkitd, or a Docker Engine; docker says where it finds one: docker context ls", withContainer}
	}
	if is[*engine.RefusedError](err) {
		return []string{"use a Docker Engine of 18.09 or later, or a buildkitd in a container with: --builder docker-container://NAME, or podman-container://NAME"}
	}
	e, ok := errors.AsType[*builder.UnreachableError](err)
	if !ok || !strings.HasPrefix(e.Address, "docker://") {
		return nil
	}
	host := ""
	if u, err := url.Parse(e.Address); err == nil && u.Host != "" {
		host = " --host " + plain.ShellWord("tcp://"+u.Host)
	} else if err == nil && u.Path != "" {
		host = " --host " + plain.ShellWord("unix://"+u.Path)
	}
	return []string{mayNot(e.Err, "start the Docker Engine, and see whether it answers with: docker"+host+" version"), otherBuilder()}
}

// mayNot is what to type if the engine's socket is not for this user, or else the other hint.
func mayNot(err error, other string) string {
	if err == nil || !strings.Contains(err.Error(), "permission denied") {
		return other
	}
	return "if you may act as root on its machine, join the group that the socket is for, and log in again: sudo usermod -aG docker $USER"
}
