package servers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

var gitDaemonReady = regexp.MustCompile(`Ready to rumble`)

// GitOptions say how a git server is started. The zero value is a server over
// plain HTTP that anybody may read from and push to.
type GitOptions struct {
	// Dir holds the bare repositories. Empty means a temporary folder that
	// Close removes.
	Dir string
	// User and Password, when set, are asked for by basic authentication.
	User, Password string
	// TLS, when set, makes the server speak HTTPS with its server certificate.
	TLS *Certs
	// Azure makes the server refuse, as Azure DevOps does, who does not ask for multi_ack.
	Azure bool
}

// A Git is a running git server: git's own http-backend behind Go's HTTP server.
type Git struct {
	// URL is the address under which the repositories are: URL/NAME.git.
	URL string
	// Dir holds the bare repositories.
	Dir string

	server *httptest.Server
	temp   string
	bin    string // git
	// libexec is where git keeps its subcommands.
	libexec string
}

// A Commit is one commit to be made: its files replace those of the commit
// before. Author, committer and dates are fixed, so that the same commits have
// the same hashes everywhere.
type Commit struct {
	// Files is a txtar archive of the commit's whole tree. A file whose name
	// ends in "!x" is executable; one that ends in "!l" is a symbolic link to
	// its content. Its comment is the message.
	Files string
	// Tag names the commit, when set.
	Tag string
	// Branch is where the commit goes; empty means main.
	Branch string
}

// StartGit starts a git server. It needs git with its http-backend, as Debian's
// package has it.
func StartGit(ctx context.Context, opts GitOptions) (*Git, error) {
	bin, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("%w; install it with: apt-get install git", err)
	}
	out, err := exec.CommandContext(ctx, bin, "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("git --exec-path: %w", err)
	}
	libexec := strings.TrimSpace(string(out))
	backend := filepath.Join(libexec, "git-http-backend")
	if !executable(backend) {
		return nil, fmt.Errorf("%s: %w", backend, fs.ErrNotExist)
	}
	g := &Git{Dir: opts.Dir, bin: bin, libexec: libexec}
	if g.Dir == "" {
		if g.temp, err = os.MkdirTemp("", "fnb-git-"); err != nil {
			return nil, err
		}
		g.Dir = g.temp
	}
	var handler http.Handler = &cgi.Handler{
		Path: backend,
		Env: append([]string{
			"GIT_PROJECT_ROOT=" + g.Dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=fnb",
		}, gitEnv(g.Dir)...),
		InheritEnv: []string{"PATH"},
		Logger:     discardLog(),
		Stderr:     &logBuffer{},
	}
	if opts.Azure {
		handler = likeAzure(handler)
	}
	g.server = httptest.NewUnstartedServer(basicAuth(opts.User, opts.Password, handler))
	g.server.Config.ErrorLog = discardLog()
	if opts.TLS != nil {
		g.server.TLS = opts.TLS.serverConfig()
		g.server.StartTLS()
	} else {
		g.server.Start()
	}
	g.URL = g.server.URL
	return g, nil
}

// basicAuth asks for a user and password; for neither when user is empty.
func basicAuth(user, password string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, p, ok := r.BasicAuth()
		if user != "" && (!ok || u != user || p != password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="fnb"`)
			http.Error(w, "authentication required", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Commit adds commits to the repository NAME, which is made when it is missing,
// and returns their hashes. The URL to clone is [Git.RepoURL].
func (g *Git) Commit(ctx context.Context, name string, commits ...Commit) ([]string, error) {
	repo := filepath.Join(g.Dir, name+".git")
	if _, err := os.Stat(repo); errors.Is(err, fs.ErrNotExist) {
		for _, args := range [][]string{
			{"init", "-q", "--bare", "--initial-branch=main", repo},
			{"-C", repo, "config", "http.receivepack", "true"},
			{"-C", repo, "config", "uploadpack.allowAnySHA1InWant", "true"},
			{"-C", repo, "config", "uploadpack.allowFilter", "true"},
		} {
			if _, err := g.run(ctx, 0, args...); err != nil {
				return nil, err
			}
		}
	}
	var hashes []string
	for i, c := range commits {
		hash, err := g.commitOne(ctx, repo, c)
		if err != nil {
			return hashes, fmt.Errorf("commit %d of %s: %w", i+1, name, err)
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}

// commitOne makes one commit from a working tree that is thrown away.
func (g *Git) commitOne(ctx context.Context, repo string, c Commit) (string, error) {
	tree, err := os.MkdirTemp("", "fnb-git-tree-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(tree) }() // a leftover in the temporary folder harms nobody
	archive := txtar.Parse([]byte(c.Files))
	if err := writeFiles(tree, archive); err != nil {
		return "", err
	}
	branch := c.Branch
	if branch == "" {
		branch = "main"
	}
	message := strings.TrimSpace(string(archive.Comment))
	if message == "" {
		message = "a commit"
	}
	// The number of commits before this one is its time in minutes.
	count := 0
	parent, err := g.run(ctx, 0, "-C", repo, "rev-parse", "--verify", "-q", "refs/heads/"+branch)
	args := []string{"--git-dir", repo, "commit-tree", "-m", message}
	if err == nil {
		args = append(args, "-p", parent)
		text, err := g.run(ctx, 0, "-C", repo, "rev-list", "--count", parent)
		if err != nil {
			return "", err
		}
		if _, err := fmt.Sscan(text, &count); err != nil {
			return "", err
		}
	}
	if _, err := g.run(ctx, 0, "--git-dir", repo, "--work-tree", tree, "add", "--all", "--force", "."); err != nil {
		return "", err
	}
	id, err := g.run(ctx, 0, "--git-dir", repo, "write-tree")
	if err != nil {
		return "", err
	}
	hash, err := g.run(ctx, count, append(args, id)...)
	if err != nil {
		return "", err
	}
	if _, err := g.run(ctx, 0, "-C", repo, "update-ref", "refs/heads/"+branch, hash); err != nil {
		return "", err
	}
	if c.Tag != "" {
		_, err = g.run(ctx, 0, "-C", repo, "tag", c.Tag, hash)
	}
	return hash, err
}

// writeFiles writes an archive's files into dir, and nowhere else.
func writeFiles(dir string, archive *txtar.Archive) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // it is a folder: nothing is lost
	for _, f := range archive.Files {
		name, kind, _ := strings.Cut(f.Name, "!")
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		switch kind {
		case "l":
			err = root.Symlink(strings.TrimSpace(string(f.Data)), name)
		case "x":
			err = root.WriteFile(name, f.Data, 0o755)
		default:
			err = root.WriteFile(name, f.Data, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// run runs git at a fixed time, some minutes after the first commit's, and
// returns what it prints.
func (g *Git) run(ctx context.Context, minutes int, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, g.bin, args...)
	at := time.Date(2026, 1, 1, 0, minutes, 0, 0, time.UTC).Format(time.RFC3339)
	cmd.Env = append(gitEnv(g.Dir), "PATH="+os.Getenv("PATH"), "GIT_AUTHOR_DATE="+at, "GIT_COMMITTER_DATE="+at)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// gitEnv keeps git from the configuration of the user and of the machine.
func gitEnv(home string) []string {
	return []string{
		"HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
		"GIT_AUTHOR_NAME=fnb", "GIT_AUTHOR_EMAIL=fnb@example.com",
		"GIT_COMMITTER_NAME=fnb", "GIT_COMMITTER_EMAIL=fnb@example.com",
	}
}

// Handler is what the server answers with, for a server that does so only at times.
func (g *Git) Handler() http.Handler { return g.server.Config.Handler }

// RepoURL returns the address to clone a repository from.
func (g *Git) RepoURL(name string) string { return g.URL + "/" + name + ".git" }

// Close stops the server and removes its temporary folder.
func (g *Git) Close() error {
	g.server.CloseClientConnections()
	g.server.Close()
	if g.temp == "" {
		return nil
	}
	return os.RemoveAll(g.temp)
}

// GitFor starts a git server for one test.
func GitFor(tb testing.TB, opts GitOptions) *Git {
	tb.Helper()
	g, err := StartGit(tb.Context(), opts)
	Require(tb, "git", err)
	closeAtEnd(tb, g.Close)
	return g
}

// Daemon serves the same repositories by the git:// protocol, for reading, and
// returns its address. The daemon ends with ctx.
func (g *Git) Daemon(ctx context.Context) (string, error) {
	port, err := FreePorts(1)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(g.libexec, "git-daemon"), "--verbose", "--export-all", "--reuseaddr",
		"--listen=127.0.0.1", "--port="+port, "--base-path="+g.Dir, g.Dir)
	cmd.Env = append(gitEnv(g.Dir), "PATH="+os.Getenv("PATH"))
	p, err := startProcess("git daemon", cmd)
	if err != nil {
		return "", err
	}
	if _, err := p.awaitLine(ctx, gitDaemonReady, 10*time.Second); err != nil {
		return "", errors.Join(err, p.stop(time.Second))
	}
	return "git://127.0.0.1:" + port, nil
}
