package vm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"fnb/internal/servers"
)

// A Machine runs.
type Machine struct {
	// URL leads to its port 8080.
	URL string

	dir     string
	cmd     *exec.Cmd
	done    chan struct{}
	err     error // what ended QEMU; valid after done
	console console
}

// The parts of a command that a test cannot take as they stand.
var (
	accelerator = regexp.MustCompile(`accel=[a-z:]+`)
	forward     = regexp.MustCompile(`hostfwd=tcp:127\.0\.0\.1:[0-9]+-`)
)

// Start runs a command of a shell, as "fnb generate qemu" writes it, in a folder that has the machine's disk. The kernel and the
// initrd are the kit's; the machine is emulated, whatever it asks for, and answers at a port that was free.
func (k *Kit) Start(ctx context.Context, dir, command string) (*Machine, error) {
	port, err := servers.FreePorts(1)
	if err != nil {
		return nil, err
	}
	if !accelerator.MatchString(command) || !forward.MatchString(command) {
		return nil, fmt.Errorf("the command is not one of fnb's: %s", command)
	}
	command = accelerator.ReplaceAllLiteralString(command, "accel=tcg")
	command = forward.ReplaceAllLiteralString(command, "hostfwd=tcp:127.0.0.1:"+port+"-")
	command = strings.NewReplacer("-kernel vmlinuz", "-kernel "+k.Kernel, "-initrd initrd.img", "-initrd "+k.Initrd).Replace(strings.TrimSpace(command))
	return k.run(ctx, dir, port, command)
}

// run runs a command of QEMU's in a folder. The machine's port 8080 is at a port of this machine's loopback.
func (k *Kit) run(ctx context.Context, dir, port, command string) (_ *Machine, err error) {
	m := &Machine{URL: "http://127.0.0.1:" + port, done: make(chan struct{})}
	if m.dir, err = os.MkdirTemp("", "fnb-vm-"); err != nil {
		return nil, err
	}
	share := filepath.Join(k.root, "usr/share")
	command = "exec " + command + " -L " + share + "/qemu -L " + share + "/seabios -qmp unix:" + m.control() + ",server=on,wait=off"
	m.cmd = exec.CommandContext(context.WithoutCancel(ctx), "sh", "-c", command)
	m.cmd.Dir, m.cmd.Env, m.cmd.Stdout, m.cmd.Stderr, m.cmd.SysProcAttr = dir, environ(k.root), &m.console, &m.console, endWithParent()
	if err := m.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(m.dir))
	}
	go func() {
		defer close(m.done)
		m.err = m.cmd.Wait()
	}()
	return m, nil
}

func (m *Machine) control() string { return filepath.Join(m.dir, "qmp") }

// Console is what the machine's console has shown until now.
func (m *Machine) Console() string { return m.console.String() }

// Answer asks the machine for a path until it answers with 200, and returns what it says. It asks once the console has shown that
// something listens: QEMU's network takes a connection before the machine has one, and then looks again only after seconds.
func (m *Machine) Answer(ctx context.Context, path string) (string, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	err := errors.New("nothing listens")
	for {
		if strings.Contains(m.Console(), listening) {
			var text string
			if text, err = get(ctx, &client, m.URL+path); err == nil {
				return text, nil
			}
		}
		select {
		case <-m.done:
			return "", fmt.Errorf("the machine is off:\n%s", m.Console())
		case <-ctx.Done():
			return "", fmt.Errorf("the machine does not answer: %w\n%s", err, m.Console())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

const listening = "listening on" // what the watchdog says, and functions that have none in tests

func get(ctx context.Context, client *http.Client, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close() //nolint:errcheck // it was read to its end, or is of no use
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return string(body), err
}

// Press presses the power button, or keys of a keyboard that are given with "-" between.
func (m *Machine) Press(ctx context.Context, keys string) error {
	if keys == "power" {
		return m.tell(ctx, "system_powerdown", nil)
	}
	type key struct {
		Type string `json:"type"`
		Data string `json:"data"`
	}
	var all []key
	for k := range strings.SplitSeq(keys, "-") {
		all = append(all, key{"qcode", k})
	}
	return m.tell(ctx, "send-key", map[string]any{"keys": all})
}

// tell has QEMU do something, by its protocol QMP.
func (m *Machine) tell(ctx context.Context, what string, arguments any) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", m.control())
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // it has said all
	type command struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}
	heard := bufio.NewScanner(c)
	for _, cmd := range []command{{Execute: "qmp_capabilities"}, {Execute: what, Arguments: arguments}} {
		raw, err := json.Marshal(cmd)
		if err != nil {
			return err
		}
		if _, err := c.Write(append(raw, '\n')); err != nil {
			return err
		}
		for {
			if !heard.Scan() {
				return fmt.Errorf("%s: QEMU says nothing: %w", what, errors.Join(heard.Err(), net.ErrClosed))
			}
			if line := heard.Text(); strings.Contains(line, `"error"`) {
				return fmt.Errorf("%s: %s", what, line)
			} else if strings.Contains(line, `"return"`) {
				break
			}
		}
	}
	return nil
}

// AwaitEnd waits until the machine is off.
func (m *Machine) AwaitEnd(limit time.Duration) error {
	select {
	case <-m.done:
		return m.err
	case <-time.After(limit):
		return fmt.Errorf("it is on after %s:\n%s", limit, m.Console())
	}
}

// Close takes the machine's power away.
func (m *Machine) Close() error {
	_ = m.cmd.Process.Kill() // one that has ended needs none
	<-m.done
	return os.RemoveAll(m.dir)
}

// A console keeps what is written.
type console struct {
	mu   sync.Mutex
	text strings.Builder
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}
