package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"fnb/builder"
	"fnb/builder/containers"
	"fnb/builder/fleet"
	"fnb/builder/managed"
	"fnb/builder/target"
	"fnb/gitrepo"
	"fnb/images"
	"fnb/internal/lazyregexp"
	"fnb/internal/plain"
	"fnb/internal/spelling"
	"fnb/packaging"
	"fnb/pipeline"
	"fnb/pipeline/attest"
	"fnb/pipeline/debugger"
	"fnb/pipeline/machine"
	"fnb/pipeline/pins"
	"fnb/pipeline/serve"
	"fnb/pipeline/services"
	"fnb/pipeline/updates"
	"fnb/policy"
	"fnb/registry"
	"fnb/schema"
	"fnb/schema/words"
	"fnb/store"
	"fnb/store/credentials"
	"fnb/store/git"
	"fnb/templates"
	"fnb/trust/evidence"
)

// is reports whether an error of type T is in err's tree.
func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// exitCode finds the code of an error. Where several functions failed for
// different reasons, a failed build decides.
func exitCode(err error) int {
	if run, ok := errors.AsType[*pipeline.RunError](err); ok {
		return runExitCode(run)
	}
	if all, ok := errors.AsType[*missingError](err); ok {
		return all.exitCode()
	}
	none, noProgram := errors.AsType[*containers.NoProgramError](err)
	switch {
	case noProgram && none.There:
		return exitNoProgram
	case noProgram:
		return exitNotThere
	case is[*policy.Refusal](err), is[*refusedError](err):
		return exitPolicy
	case is[*usageError](err), is[*builder.AddressError](err), is[*builder.PlaintextError](err):
		return exitUsage
	case is[*registry.AuthError](err), is[*registry.PolicyError](err), is[*registry.UnavailableError](err), is[*registry.PlainHTTPError](err), is[*registry.NoRegistryError](err):
		return exitRegistry
	case denied(err) != "", unreached(err) != "", unpushed(err) != "":
		return exitRegistry
	case is[*attest.RefusedError](err), is[*registry.ReferrersError](err):
		return exitRegistry
	case is[*evidence.MissingError](err): // also for something that is attached and is nothing of the kind
		return exitPolicy
	case is[*registry.AttachedError](err):
		return exitRegistry
	case is[*builder.SolveError](err), is[*testError](err), is[*schema.MissingError](err):
		return exitBuild
	case is[*store.NotFoundError](err), is[*store.MismatchError](err), isStoreError(err), is[*pipeline.UnknownFunctionError](err), is[*foreignImageError](err), is[*pins.NotLockedError](err), is[*pins.OtherWatchdogError](err), is[*registry.NotFoundError](err), is[*images.NotFoundError](err):
		return exitNotFound
	case is[*fleet.NoneLeftError](err), is[*builder.UnreachableError](err), is[*managed.MissingError](err):
		return exitBuilder
	case is[*unaskedError](err):
		return exitRegistry
	case is[*outdatedError](err), is[*differsError](err):
		return exitNewer
	case is[*deployError](err):
		return exitDeploy
	case is[*findingsError](err):
		return exitFindings
	}
	return exitError
}

// denied is the host of the registry that refused the builder a base image or a
// push; "" where none did.
func denied(err error) string {
	if s, ok := errors.AsType[*builder.SolveError](err); ok {
		return s.Denied
	}
	if e, ok := errors.AsType[*builder.ExportError](err); ok && e.Status >= 400 && e.Status < 500 {
		return e.Host
	}
	return ""
}

// unreached is the host of the registry that did not answer the builder about a base image;
// "" where that is not what went wrong.
func unreached(err error) string {
	if s, ok := errors.AsType[*builder.SolveError](err); ok {
		return s.Unreached
	}
	return ""
}

// unpushed is the reference of an image that the builder could not push; "" where
// that is not what went wrong.
func unpushed(err error) string {
	if e, ok := errors.AsType[*builder.ExportError](err); ok {
		return e.Reference
	}
	return ""
}

func runExitCode(run *pipeline.RunError) int {
	code := exitDone
	for _, f := range run.Failed {
		switch c := exitCode(f.Err); {
		case ran(f.Err): // it was built, and is what failed
			code = max(code, exitError)
		case c == exitError || c == exitBuild:
			return exitBuild
		case code == exitDone:
			code = c
		}
	}
	return code
}

// ran reports whether an error is that of a function that was running.
func ran(err error) bool {
	return is[*statusError](err) || is[*containers.ExitError](err) || is[*containers.NotListeningError](err) || is[*services.NotReadyError](err)
}

// hints say what a person can type now.
func hints(err error) []string {
	var out []string
	if h, ok := errors.AsType[*hinted](err); ok {
		out = append(out, h.hints...)
	}
	if u, ok := errors.AsType[*usageError](err); ok {
		out = append(append(out, u.hints...), "see: "+u.command+" --help")
	}
	if t, ok := errors.AsType[*testError](err); ok && len(t.problems) > 0 {
		out = append(out, hints(errors.Join(t.problems...))...)
	}
	out = append(out, policyHints(err)...)
	out = append(out, copyHints(err)...)
	out = append(out, functionHints(err)...)
	out = append(out, packageHints(err)...)
	out = append(out, gitHints(err)...)
	out = append(out, keyHints(err)...)
	out = append(out, templateHints(err)...)
	out = append(out, registryHints(err)...)
	out = append(out, builderHints(err)...)
	out = append(out, runtimeHints(err)...)
	out = append(out, gatewayHints(err)...)
	out = append(out, deployHints(err)...)
	out = append(out, startHints(err)...)
	out = append(out, shellHints(err)...)
	out = append(out, outputHints(err)...)
	out = append(out, auditHints(err)...)
	if d, ok := errors.AsType[*rebuildError](err); ok && d.revision != "" {
		out = append(out, "rebuild from the source that the image names: git checkout "+d.revision)
	}
	return append(out, diskHints(err)...)
}

// diskHints say how to get room on the disk that is full.
func diskHints(err error) []string {
	if !errors.Is(err, syscall.ENOSPC) && !strings.Contains(err.Error(), "no space left on device") {
		return nil
	}
	if e, ok := errors.AsType[*target.WriteError](err); ok {
		return []string{"see how much room is there with: df -h " + plain.ShellWord(filepath.Dir(e.Path))}
	}
	if is[*target.LoadError](err) { // the disk is the engine's, which may be another machine
		return []string{"free the Docker Engine's disk of images that nothing uses, with: docker image prune --all"}
	}
	return []string{"free disk space with: fnb builder prune"}
}

// outputHints say what to do about an output that does not take an image.
func outputHints(err error) []string {
	if e, ok := errors.AsType[*target.OnePlatformError](err); ok {
		out := []string{"choose one: --platform " + e.Platforms[0]}
		if strings.HasPrefix(e.Output, "--load") {
			out = append(out, "or have an engine of 29 or later make it itself: fnb build --load --builder docker://")
		}
		return out
	}
	if is[*machine.NoWatchdogError](err) {
		return []string{"have fnb put its own in: --watchdog default"}
	}
	return nil
}

// gitHints say what to do about the user's own git repository.
func gitHints(err error) []string {
	if e, ok := errors.AsType[*gitrepo.GitError](err); ok && e.Try != "" {
		return []string{"if you trust whose it is, let git read it: " + e.Try}
	}
	if is[*gitrepo.ExtensionError](err) {
		return []string{"let git read it: install git, and see that it is in PATH with: git --version"}
	}
	m, ok := errors.AsType[*gitrepo.MissingError](err)
	switch {
	case !ok:
		return nil
	case m.Shallow:
		return []string{
			"fetch the rest of its history: git fetch --unshallow",
			"or have the pipeline clone all of it: fetch-depth: 0 for actions/checkout, GIT_DEPTH: 0 for GitLab",
		}
	case m.Partial && m.Offline:
		return []string{"let git fetch it, without --offline and FNB_OFFLINE"}
	case m.Partial && m.Command != "":
		return []string{"if you trust what it names, have git fetch it: git fetch --refetch --no-filter"}
	}
	return nil
}

// outsidePaths are the flags that allow the paths of a stack that led too far.
func outsidePaths(err error) []string {
	var flags []string
	for _, e := range flatten(err) {
		if o, ok := errors.AsType[*schema.OutsideError](e); ok {
			flags = append(flags, "--"+outsideFlag+" "+plain.ShellWord(relative(o.Leads)))
		}
	}
	slices.Sort(flags)
	return slices.Compact(flags)
}

func outsideHints(err error) []string {
	flags := outsidePaths(err)
	if len(flags) == 0 {
		return nil
	}
	out := []string{"see what the stack file wants there, and if it may have it, allow it with: " + strings.Join(flags, " ")}
	for _, e := range flatten(err) {
		if o, ok := errors.AsType[*schema.OutsideError](e); ok && strings.Contains(o.Place.Field, ".build_secrets") {
			return append(out, "or name the file of a build secret yourself with: --secret id=ID,src=FILE")
		}
	}
	return out
}

// testRequestHint says where the request of fnb test is written.
const testRequestHint = "name it in the stack file: test: {request: {headers: {Content-Type: application/json}, body: '{}'}}"

func functionHints(err error) []string {
	if out := outsideHints(err); out != nil {
		return out
	}
	if f, ok := errors.AsType[*pipeline.UnknownFunctionError](err); ok && len(f.Near) > 0 {
		return []string{"did you mean: " + strings.Join(f.Near, ", ")}
	}
	if t, ok := errors.AsType[*packaging.TargetError](err); ok {
		if near := spelling.Nearest(t.Name, t.Known); near != "" {
			return []string{"did you mean: " + near}
		}
	}
	if i, ok := errors.AsType[*schema.ImageError](err); ok && i.Slashed {
		return []string{"leave it out, and put the name of git's branch into the tag with: --tag branch"}
	}
	if t, ok := errors.AsType[*testError](err); ok && t.unasked {
		return []string{"if the handler wants another request, " + testRequestHint}
	}
	if is[*templates.ExistsError](err) {
		return []string{"choose another folder with: --handler DIR"}
	}
	if o, ok := errors.AsType[*outdatedError](err); ok && o.packages > 0 {
		return []string{"move them with: fnb update --packages"}
	} else if ok && o.movable {
		return []string{"move the pins with: fnb update"}
	}
	if c, ok := errors.AsType[*conflictError](err); ok {
		return []string{"choose in each file between the marks, and delete the marks: " + strings.Join(c.files, ", ")}
	}
	if c, ok := errors.AsType[*pipeline.ContextError](err); ok && is[*fs.PathError](err) {
		return []string{"remove what is there first: rm -r " + c.Dir}
	}
	if p, ok := errors.AsType[*serve.PortError](err); ok && p.Debugger {
		return []string{"take another with: --debug=N, or any free one with --debug=0"}
	} else if ok && !is[*serve.GatewayError](err) {
		return []string{"take another with: --port N, or any free one with --port 0"}
	}
	if is[*debugger.NoneError](err) {
		return []string{"run it without a debugger: fnb run"}
	}
	if s, ok := errors.AsType[*updates.StarterError](err); ok {
		return []string{"move the pin and merge by hand with: fnb update " + s.Function + " --no-merge"}
	}
	if is[*templates.ChangedError](err) {
		return []string{"merge what it is now with: fnb update"}
	}
	if u, ok := errors.AsType[*templates.UnresolvedError](err); ok {
		return []string{"choose between the marks in the file, and delete them: " + u.File}
	}
	return nil
}

func templateHints(err error) []string {
	out := storeHints(err)
	if v, ok := errors.AsType[*store.VersionError](err); ok {
		if v.File != "" {
			out = append(out, "if "+v.Range+" is the version of the language, leave out @"+v.Range+", and write it into the handler's "+v.File)
		}
		if len(v.Have) > 0 {
			out = append(out, "take a version that there is, such as: @"+v.Have[0])
		}
		return out
	}
	if n, ok := errors.AsType[*store.NotFoundError](err); ok {
		if len(n.Near) > 0 {
			out = append(out, "did you mean: "+strings.Join(n.Near, ", "))
		}
		if n.Kind == schema.KindFunction {
			return append(out, "see all functions with: fnb store list")
		}
		if len(n.There) > 0 {
			out = append(out, "take one of the official ones: "+strings.Join(n.There, ", "))
		}
		if n.OpenFaaS != "" {
			out = append(out, "it is one of OpenFaaS's: name its source in the stack file: configuration: {templates: [{name: "+n.Name+", source: "+n.OpenFaaS+"}]}")
		}
		return append(out, "see all templates with: fnb template list")
	}
	if e, ok := errors.AsType[*builder.ExportError](err); ok && e.Reference != "" && denied(err) == "" {
		if strings.HasPrefix(e.Reference, "docker.io/library/") {
			return append(out, "an image without a registry goes to Docker Hub: write HOST/OWNER/ before it in the stack file; fnb new does with --prefix HOST/OWNER or FNB_PREFIX")
		}
		return append(append(out, "see whether the registry answers: "+askRegistry(e.Host, e.PlainHTTP)), sendFromHere(err)...)
	}
	if m, ok := errors.AsType[*store.MismatchError](err); ok && m.Record {
		return append(out, "tell whoever runs the store, and do not use this version; see the others with: fnb template list")
	} else if ok && m.Want == "" {
		return append(out, "add it to the lock with: fnb lock")
	} else if ok {
		return append(out, "if the change is wanted, move the pin with: fnb update "+plain.ShellWord(m.Reference))
	}
	if is[*pins.NotLockedError](err) {
		return append(out, "add them to the lock with: fnb lock")
	}
	if late, ok := errors.AsType[*services.NotReadyError](err); ok && late.Never {
		return append(out, "name a program that the image has, or leave ready out: the service is then ready once its port takes connections")
	} else if ok {
		return append(out, "if it only needs longer, say so in the stack file: timeout: "+(2*late.After.Round(time.Second)).String())
	}
	if is[*pins.OtherWatchdogError](err) {
		return append(out, "move the pin with: fnb update "+words.WatchdogDefault)
	}
	if is[*store.OfflineError](err) {
		return append(out, "fetch it once, without --offline and FNB_OFFLINE")
	}
	if h, ok := errors.AsType[*git.HostKeyError](err); ok {
		return append(out, hostKeyHint(h))
	}
	if a, ok := errors.AsType[*git.AuthError](err); ok {
		if a.SSH {
			return append(out, "see what ssh-agent has with: ssh-add -l, and give it a key that the server knows with: ssh-add")
		}
		if variable := credentials.TokenVariable(a.Host); variable != "" {
			return append(out, fmt.Sprintf("give a token in %s, or let git keep one: git credential approve", variable))
		}
		return append(out, "let git keep a token: git credential approve")
	}
	if t, ok := errors.AsType[*credentials.TokenNameError](err); ok {
		return append(out, fmt.Sprintf("if %s may have it, give it in %s", t.Host, t.Right))
	}
	return out
}

// hostKeyHint says what to do about a host's key. No command has the host's name in
// it: that may come from somebody else's stack file.
func hostKeyHint(h *git.HostKeyError) string {
	if h.Changed || h.Revoked {
		return "ask who runs the server whether its key was changed; if so, take the old one out of known_hosts with: ssh-keygen -R HOST"
	}
	return "ask who runs the server for the fingerprint; when it is the same, let ssh keep the key: ssh HOST"
}

// askRegistry is what to type to see whether a registry answers.
func askRegistry(host string, plainHTTP bool) string {
	if plainHTTP {
		return "curl http://" + host + "/v2/"
	}
	return "curl https://" + host + "/v2/"
}

// sendFromHere leads from a builder that takes fewer registries than fnb does, unless it found
// none.
func sendFromHere(err error) []string {
	if e, ok := errors.AsType[*builder.ExportError](err); ok && e.Strict && e.Reference != "" && !strings.HasPrefix(e.Problem, "failed to do request: ") {
		return []string{"fnb itself, and its own builder, push to more registries than this builder does: fnb build && fnb push"}
	}
	return nil
}

func registryHints(err error) []string {
	if is[*attest.RefusedError](err) && !is[*registry.UnavailableError](err) {
		return nil // it has taken the image
	}
	if n, ok := errors.AsType[*registry.NotFoundError](err); ok {
		if n.Pushed || is[*hinted](err) {
			return nil // the registry's words are in the error, or the command has said what helps
		}
		return []string{"push it first with: fnb build --push"}
	}
	if n, ok := errors.AsType[*images.NotFoundError](err); ok {
		var out []string
		if len(n.Near) > 0 {
			out = append(out, "there is: "+strings.Join(n.Near, ", "))
		}
		if is[*hinted](err) { // the command has said what helps
			return out
		}
		return append(out, "build it first with: fnb build")
	}
	if a, ok := errors.AsType[*registry.AuthError](err); ok {
		return []string{"log in with: fnb login " + a.Host}
	}
	if e, ok := errors.AsType[*builder.ExportError](err); ok && e.Status > 0 && e.Status != http.StatusUnauthorized && e.Status != http.StatusForbidden {
		return sendFromHere(err) // credentials would change nothing
	}
	if host := denied(err); host != "" {
		return []string{"log in with: fnb login " + host}
	}
	if s, ok := errors.AsType[*builder.SolveError](err); ok && s.Unreached != "" {
		return []string{"see whether the registry answers: " + askRegistry(s.Unreached, strings.Contains(s.Problem, `"http://`+s.Unreached+"/"))}
	}
	if p, ok := errors.AsType[*registry.PlainHTTPError](err); ok {
		return []string{"allow it with: --insecure-registry " + p.Host}
	}
	if u, ok := errors.AsType[*registry.UnavailableError](err); ok {
		return []string{"see whether it answers: " + askRegistry(u.Host, u.PlainHTTP)}
	}
	if i, ok := errors.AsType[*images.IndexError](err); ok {
		return []string{"begin a new list of images, and build them again: rm " + i.File}
	}
	if is[*images.DamagedError](err) {
		return []string{"build it again with: fnb build --no-cache"}
	}
	return nil
}

// emulateHint says what to type where the builder does not have a platform.
func emulateHint(platform string) string {
	arch := strings.Split(platform, "/")[1]
	return "let the builder's machine emulate it: sudo apt-get install qemu-user-static binfmt-support, or docker run --privileged --rm tonistiigi/binfmt --install " + arch
}

// absent is how BuildKit says that COPY or ADD names a file that is not there.
var absent = lazyregexp.New(`^"/[^"]*": not found$`)

func builderHints(err error) []string {
	if n, ok := errors.AsType[*containers.NotListeningError](err); ok {
		return []string{fmt.Sprintf("let it listen on port %d, or give it longer with: --timeout 2m", n.Port)}
	}
	if m, ok := errors.AsType[*managed.MissingError](err); ok {
		return []string{
			"install it with: sudo apt-get install " + m.Package,
			"or use another BuildKit with: --builder ADDRESS",
		}
	}
	if is[*builder.PlaintextError](err) {
		return []string{
			"give the folder with its certificates: --builder-tlsdir DIR, or reach it by ssh: --builder ssh://USER@HOST",
			"if the network between is yours alone, allow it with: --" + plaintextFlag,
		}
	}
	if e, ok := errors.AsType[*builder.ExportError](err); ok && e.Unsupported {
		return []string{
			"load it into this engine with: fnb build --load, and push it from there with: docker push",
			"or use another BuildKit with: --builder ADDRESS, or turn on the engine's containerd image store",
		}
	}
	if s, ok := errors.AsType[*builder.SolveError](err); ok && s.Foreign != "" {
		return []string{emulateHint(s.Foreign), "or add a builder of " + s.Foreign + " with: --builder ADDRESS,ADDRESS"}
	}
	if s, ok := errors.AsType[*builder.SolveError](err); ok && s.Own != "" {
		file, err := configFile()
		if err != nil {
			file = "fnb's settings"
		}
		return []string{fmt.Sprintf("builds do not reach this machine; if %s of it is meant, write below builder: in %s: reach: [%q]", s.Own, file, s.Own)}
	}
	if out := stepHints(err); out != nil {
		return out
	}
	if s, ok := errors.AsType[*builder.SolveError](err); ok && absent.MatchString(s.Problem) {
		return []string{"see what the build context has with: fnb build --context-only DIR"}
	}
	if m, ok := errors.AsType[*fleet.MixedError](err); ok {
		return []string{"say which to build for with: --platform " + strings.Join(m.Platforms, ",")}
	}
	if is[*builder.CacheTypeError](err) {
		return []string{otherCache}
	}
	if is[*fleet.ApartError](err) {
		return []string{"keep it in the image store with: fnb build, without --output and --load; or push it with: fnb build --push"}
	}
	if out := podHints(err); out != nil {
		return out
	}
	if is[*fleet.NoneLeftError](err) {
		return []string{"see which builders answer with: fnb builder status"}
	}
	if c, ok := errors.AsType[*fleet.PlatformChangedError](err); ok {
		return []string{"build for that with the same command again, or for the other with: --platform " + c.Was}
	}
	if out := engineHints(err); out != nil {
		return out
	}
	if is[*builder.UnreachableError](err) {
		return []string{"see what runs with: fnb builder status", otherBuilder()}
	}
	return nil
}
