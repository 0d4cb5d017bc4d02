package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/internal/servers/cluster"
	"fnb/internal/servers/tried"
)

var update = flag.Bool("update", false, "rewrite golden files")

// rig is what all scripts share: a built fnb, a registry, base images, and the
// folder of one builder, so that base images are unpacked once.
type rig struct {
	bin      string
	registry *servers.Registry
	config   string
	mirrors  map[string]string
	fleet    sync.Map // member by address
	engines  sync.Map // containerEngine by the folder of a script
	machines sync.Map // vm.Machine by the folder of a script and its name
	steady   sync.Map // what asks a script's functions all the time, by URL
	builder  string
	company  string // host:port that steps of the builder reach, for TestBuildAuthority

	stockOnce sync.Once
	stock     *servers.Buildkitd

	clusterOnce sync.Once
	cluster     *cluster.Cluster
	clusterErr  error
}

var shared = sync.OnceValues(startRig) //nolint:gochecknoglobals // started by the first test that needs it

// stops are called when all tests are done, the last first.
var stops []func()

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	for _, stop := range slices.Backward(stops) {
		stop()
	}
	os.Exit(code)
}

func startRig() (_ *rig, err error) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "fnb-scripts-*")
	if err != nil {
		return nil, err
	}
	stops = append(stops, func() { _ = os.RemoveAll(dir) })
	r := &rig{bin: filepath.Join(dir, "bin"), config: filepath.Join(dir, "config.yaml")}
	args, env := []string{"build", "-o", filepath.Join(r.bin, "fnb")}, os.Environ()
	if os.Getenv("FNB_TEST_RACE") != "" {
		args, env = append(args, "-race"), append(env, "CGO_ENABLED=1")
	}
	build := exec.CommandContext(ctx, "go", append(args, ".")...)
	build.Env = env
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building fnb: %w\n%s", err, out)
	}
	if r.registry, err = servers.StartRegistry(ctx, servers.RegistryOptions{Proxy: true}); err != nil {
		return nil, err
	}
	stops = append(stops, func() { r.registry.Close() })
	bases, err := servers.StartBases(ctx, servers.BasesOptions{})
	if err != nil {
		return nil, err
	}
	stops = append(stops, func() { bases.Close() })
	r.mirrors = bases.Mirrors
	port, err := servers.FreePorts(1)
	if err != nil {
		return nil, err
	}
	r.company = "127.0.0.1:" + port
	if err := writeSettings(r.config, mirrorLists(bases.Mirrors), r.registry.Host, r.company); err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	// The builder's folder outlives the tests, so that a second run is quick.
	// Runs at the same time need one each.
	r.builder = filepath.Join(cache, "fnb-tests", cmp.Or(os.Getenv("FNB_TEST_BUILDER"), "builder"))
	stop := func() {
		cmd := exec.Command(filepath.Join(r.bin, "fnb"), "builder", "stop")
		cmd.Env = append(os.Environ(), "FNB_BUILDER_ROOT="+r.builder, "FNB_CONFIG="+r.config, "HOME="+dir)
		_ = cmd.Run()
	}
	stop() // one that an interrupted run left has other mirrors
	stops = append(stops, stop, func() {
		r.stockOnce.Do(func() {})
		if r.stock != nil {
			_ = r.stock.Close()
		}
	})
	return r, nil
}

// stockBuilder is the address of a BuildKit daemon as others have it, which begins with nothing
// when the first test asks for it.
func (r *rig) stockBuilder(t *testing.T) string {
	t.Helper()
	var err error
	r.stockOnce.Do(func() {
		r.stock, err = servers.StartBuildkitd(context.Background(), servers.BuildkitdOptions{Mirrors: r.mirrors})
	})
	servers.Require(t, "buildkit", err)
	if r.stock == nil {
		t.Fatal("the stock builder did not start, as another test says")
	}
	return r.stock.Address
}

// mirrorLists are the mirrors of each registry, those of the first list first.
func mirrorLists(lists ...map[string]string) map[string][]string {
	all := map[string][]string{}
	for _, list := range lists {
		for host, mirror := range list {
			all[host] = append(all[host], mirror)
		}
	}
	return all
}

// writeSettings leads to base images, and lets steps reach servers on this machine, as the
// registry that a Dockerfile ADDs from.
func writeSettings(path string, mirrors map[string][]string, reach ...string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "builder:\n  idle: 10m\n  reach: [\"%s\"]\n", strings.Join(reach, `", "`))
	if len(mirrors) > 0 {
		b.WriteString("  registries:\n")
	}
	seen := map[string]bool{}
	for host, list := range mirrors {
		fmt.Fprintf(&b, "    %s: {mirrors: [\"%s\"]}\n", host, strings.Join(list, `", "`))
		for _, mirror := range list {
			if !seen[mirror] {
				fmt.Fprintf(&b, "    %q: {http: true}\n", mirror)
			}
			seen[mirror] = true
		}
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}

// TestScripts runs the user stories of testdata/script.
func TestScripts(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup:               func(env *testscript.Env) error { return r.setup(env) },
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			case "kubernetes":
				return r.hasKubernetes()
			case "engines":
				return hasEngines()
			case "sign":
				return hasSigning()
			case "vm":
				return hasMachines()
			case "scanners":
				return hasScanners()
			case "emulation":
				return hasEmulation()
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"image": cmdImage, "call": cmdCall, "same": cmdSame, "tmpfs": cmdTmpfs, "exitcode": cmdExitCode,
			"fault": r.cmdFault, "requests": r.cmdRequests, "killbuilder": cmdKillBuilder, "fleet": r.cmdFleet, "interrupt": cmdInterrupt, "mkfifo": cmdMkfifo,
			"privateregistry": cmdPrivateRegistry, "cloudcaches": cmdCloudCaches, "jsonlines": cmdJSONLines, "noleft": cmdNoLeft, "gitserver": cmdGitServer, "storefile": cmdStoreFile, "servedir": cmdServeDir, "valid": cmdValid, "advisories": cmdAdvisories, "runpipeline": cmdRunPipeline, "servefile": cmdServeFile, "serverelease": cmdServeRelease, "sha256": cmdSHA256,
			"freeport": cmdFreePort, "sshserver": cmdSSHServer, "badserver": cmdBadServer, "answers": cmdAnswers, "busyport": cmdBusyPort, "callbacks": cmdCallbacks, "letter": cmdLetter,
			"attach": cmdAttach, "attached": cmdAttached, "listing": r.cmdListing,
			"awaits": cmdAwaits, "frontend": cmdFrontend, "steady": r.cmdSteady, "process": cmdProcess, "socket": cmdSocket,
			"github": cmdGitHub, "harmless": cmdHarmless, "terminal": cmdTerminal, "talk": cmdTalk, "aged": cmdAged, "upper": cmdUpper, "mounted": cmdMounted,
			"gitlabapi": cmdGitLabAPI, "pullsapi": cmdPullsAPI, "renovate": cmdRenovate, "gitrev": cmdGitRev, "kubernetes": r.cmdKubernetes, "engine": r.cmdEngine, "openfaas": cmdOpenFaaS, "statusserver": cmdStatusServer, "sameimage": cmdSameImage, "signing": cmdSigning, "scanners": cmdScanners, "referrers": cmdReferrers, "tried": cmdTried,
			"machine": r.cmdMachine, "emulation": cmdEmulation,
		},
	})
}

// setup gives a script a home of its own, and the shared servers.
func (r *rig) setup(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, ".home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	env.Setenv("HOME", home)
	env.Setenv("PATH", r.bin+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Setenv("REGISTRY", r.registry.Host)
	env.Setenv("FNB", filepath.Join(r.bin, "fnb"))
	action, err := filepath.Abs("../../action.yml")
	if err != nil {
		return err
	}
	env.Setenv("ACTION", action)
	env.Setenv("SETUP", filepath.Join(filepath.Dir(action), "setup", "action.yml"))
	env.Setenv("INSTALL", filepath.Join(filepath.Dir(action), "install.sh"))
	env.Setenv("FNB_CONFIG", r.config)
	env.Setenv("XDG_RUNTIME_DIR", os.Getenv("XDG_RUNTIME_DIR"))
	env.Setenv("FNB_BUILDER_ROOT", r.builder)
	env.Setenv("NAME", strings.TrimPrefix(filepath.Base(env.WorkDir), "script-"))
	env.Setenv("FNB_PREFIX", r.registry.Host+"/"+strings.TrimPrefix(filepath.Base(env.WorkDir), "script-"))
	// A build's own git repository would be found above the work folder.
	env.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(env.WorkDir))
	return nil
}

// cmdExitCode: exitcode N CMD… runs a command and checks its exit code; its
// output is checked with stdout and stderr as usual.
func cmdExitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode N COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errorsAs(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// cmdImage: image REF [PLATFORM] prints an image of a registry: its digest, its
// configuration and its files.
func cmdImage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: image REF [PLATFORM]")
	}
	text, err := describeImage(args[0], args[1:]...)
	ts.Check(err)
	_, err = fmt.Fprint(ts.Stdout(), text)
	ts.Check(err)
}

// cmdCall: call REF BODY [NAME=VALUE…] runs an image with runc, sends it a
// request and prints the answer. It then stops it and checks that it ends well.
func cmdCall(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: call REF BODY [NAME=VALUE…]")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute) // its layers are unpacked, too
	defer cancel()
	answer, err := callImage(ctx, args[0], args[1], args[2:])
	ts.Check(err)
	_, err = fmt.Fprint(ts.Stdout(), answer)
	ts.Check(err)
}

// cmdTried: tried WITH says that the script has passed with something, whose version is what was printed last. What was
// not there, and has no version, was not tried.
func cmdTried(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: tried WITH")
	}
	if version := strings.TrimSpace(ts.ReadFile("stdout")); version != "" {
		ts.Check(tried.Record(context.Background(), args[0], version, ts.Getenv("NAME")+".txtar"))
	}
}

// cmdSame: same FILE FILE succeeds where both have the same last field in the
// first line: the digest of a result.
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: same FILE FILE")
	}
	last := func(name string) string {
		line, _, _ := strings.Cut(ts.ReadFile(name), "\n")
		f := strings.Fields(line)
		if len(f) == 0 {
			ts.Fatalf("%s is empty", name)
		}
		return f[len(f)-1]
	}
	a, b := last(args[0]), last(args[1])
	if (a == b) == neg {
		ts.Fatalf("%s and %s", a, b)
	}
}

// cmdTmpfs: tmpfs DIR SIZE mounts a small file system.
func cmdTmpfs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tmpfs DIR SIZE")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+args[1]))
	ts.Defer(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// cmdFault: fault METHOD PATH STATUS TIMES makes the shared registry answer so.
func (r *rig) cmdFault(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: fault METHOD PATH STATUS TIMES")
	}
	status, err := strconv.Atoi(args[2])
	ts.Check(err)
	times, err := strconv.Atoi(args[3])
	ts.Check(err)
	// Other scripts have faults at the same registry.
	ts.Defer(r.registry.Fail(servers.Fault{Method: args[0], Path: regexp.MustCompile(args[1]), Status: status, Times: times}))
}

// cmdRequests: requests prints what the shared registry was asked about the script's repositories since the last time: how
// often, and then what.
func (r *rig) cmdRequests(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: requests")
	}
	all := r.registry.RequestsOf(regexp.MustCompile("^/v2/" + regexp.QuoteMeta(ts.Getenv("NAME")) + "/"))
	_, err := fmt.Fprintln(ts.Stdout(), len(all), "requests")
	ts.Check(err)
	for _, q := range all {
		_, err := fmt.Fprintln(ts.Stdout(), q.Method, q.Path, q.Status)
		ts.Check(err)
	}
}

// cmdMkfifo: mkfifo PATH makes a named pipe.
func cmdMkfifo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: mkfifo PATH")
	}
	ts.Check(syscall.Mkfifo(ts.MkAbs(args[0]), 0o600))
}

// cmdKillBuilder: killbuilder waits until the script's own builder is busy and
// kills it.
func cmdKillBuilder(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: killbuilder")
	}
	root := ts.Getenv("FNB_BUILDER_ROOT")
	if busy := filepath.Join(root, "busy"); !until(func() bool { _, err := os.Stat(busy); return err == nil }) {
		ts.Fatalf("%s does not appear", busy)
	}
	raw, err := os.ReadFile(filepath.Join(root, "builder.json"))
	ts.Check(err)
	var state struct{ PID int }
	ts.Check(json.Unmarshal(raw, &state))
	ts.Check(syscall.Kill(state.PID, syscall.SIGKILL))
}

// cmdInterrupt: interrupt FILE COMMAND… starts a command, sends it SIGINT once
// its standard error holds the first argument, and checks that it exits with 130.
func cmdInterrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: interrupt WHEN COMMAND…")
	}
	path, err := exec.LookPath(filepath.Join(strings.Split(ts.Getenv("PATH"), ":")[0], args[1]))
	ts.Check(err)
	cmd := exec.Command(path, args[2:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), environ(ts)
	var log fixture.Buffer
	cmd.Stderr = &log
	ts.Check(cmd.Start())
	if !until(func() bool { return strings.Contains(log.String(), args[0]) }) {
		ts.Fatalf("%q does not appear:\n%s", args[0], log.String())
	}
	start := time.Now()
	ts.Check(cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		ts.Fatalf("exit code %d, want 130\n%s", code, log.String())
	}
	if took := time.Since(start); took > 10*time.Second {
		ts.Fatalf("it took %v to stop", took)
	}
	fmt.Fprint(ts.Stderr(), log.String())
}

// environ is the script's environment as far as fnb reads it.
func environ(ts *testscript.TestScript) []string {
	env := os.Environ()
	for _, k := range []string{"HOME", "PATH", "FNB_CONFIG", "FNB_BUILDER_ROOT", "FNB_PREFIX", "XDG_DATA_HOME"} {
		if v := ts.Getenv(k); v != "" {
			env = append(env, k+"="+v)
		}
	}
	return env
}

// cmdPrivateRegistry: privateregistry VAR USER PASSWORD starts a registry that
// asks for a password.
func cmdPrivateRegistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: privateregistry VAR USER PASSWORD")
	}
	reg, err := servers.StartRegistry(context.Background(), servers.RegistryOptions{User: args[1], Password: args[2]})
	ts.Check(err)
	ts.Defer(func() { reg.Close() })
	ts.Setenv(args[0], reg.Host)
}

// cmdCloudCaches: cloudcaches BUCKET starts a cache of GitHub Actions and an S3 server,
// which the environment names as that of their jobs does.
func cmdCloudCaches(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: cloudcaches BUCKET")
	}
	actions, err := servers.StartActionsCache(context.Background())
	ts.Check(err)
	ts.Defer(func() { actions.Close() })
	s3, err := servers.StartS3(context.Background(), args[0])
	ts.Check(err)
	ts.Defer(func() { s3.Close() })
	for name, value := range map[string]string{
		"ACTIONS_CACHE_URL": actions.URL, "ACTIONS_RUNTIME_TOKEN": actions.Token, "S3_URL": s3.URL, "S3_DIR": s3.Dir,
		"AWS_REGION": s3.Region, "AWS_ACCESS_KEY_ID": s3.KeyID, "AWS_SECRET_ACCESS_KEY": s3.Secret,
	} {
		ts.Setenv(name, value)
	}
}

// cmdGitServer: gitserver VAR REPO FILE… [USER PASSWORD] starts a git server
// with one repository, of which each file is a commit in txtar form, tagged with
// the file's name. VAR is the repository's address, and VAR_SERVER the server's.
func cmdGitServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: gitserver VAR REPO FILE… [-azure|-auth=USER:PASSWORD]")
	}
	var opts servers.GitOptions
	if args[len(args)-1] == "-azure" {
		opts.Azure = true
		args = args[:len(args)-1]
	}
	if auth, ok := strings.CutPrefix(args[len(args)-1], "-auth="); ok {
		opts.User, opts.Password, _ = strings.Cut(auth, ":")
		args = args[:len(args)-1]
	}
	ctx := context.Background()
	g, err := servers.StartGit(ctx, opts)
	ts.Check(err)
	ts.Defer(func() { g.Close() })
	var commits []servers.Commit
	for _, f := range args[2:] {
		text := strings.ReplaceAll(ts.ReadFile(f), "\n>-- ", "\n-- ")
		commits = append(commits, servers.Commit{Files: strings.TrimPrefix(text, ">"), Tag: f})
	}
	_, err = g.Commit(ctx, args[1], commits...)
	ts.Check(err)
	ts.Setenv(args[0], g.RepoURL(args[1]))
	ts.Setenv(args[0]+"_SERVER", g.URL)
	ts.Setenv(args[0]+"_LOGIN", strings.Replace(g.RepoURL(args[1]), "://", "://"+opts.User+":"+opts.Password+"@", 1))
}

// cmdJSONLines: jsonlines FILE KEY… checks that each line of a file is a JSON
// object that has the keys.
func cmdJSONLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: jsonlines FILE KEY…")
	}
	n := 0
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			ts.Fatalf("%q: %v", line, err)
		}
		for _, k := range args[1:] {
			if _, ok := m[k]; !ok {
				ts.Fatalf("%q has no %s", line, k)
			}
		}
		n++
	}
	if n == 0 {
		ts.Fatalf("%s is empty", args[0])
	}
}

// cmdNoLeft: noleft DIR checks that a folder has no half-written file.
func cmdNoLeft(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: noleft DIR")
	}
	var left []string
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && (strings.Contains(p, "/ingest/") || strings.HasSuffix(p, ".tmp") || strings.HasSuffix(p, ".new")) {
			left = append(left, p)
		}
		return err
	}))
	if len(left) > 0 {
		ts.Fatalf("left behind: %v", left)
	}
}

// cmdFrontend: frontend FILE builds BuildKit's Dockerfile frontend as a program of its
// own, to be the frontend that a Dockerfile names.
func cmdFrontend(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: frontend FILE")
	}
	build := exec.Command("go", "build", "-o", ts.MkAbs(args[0]), "github.com/moby/buildkit/frontend/dockerfile/cmd/dockerfile-frontend")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // for an image without a C library
	out, err := build.CombinedOutput()
	if err != nil {
		ts.Fatalf("building the frontend: %v\n%s", err, out)
	}
}
