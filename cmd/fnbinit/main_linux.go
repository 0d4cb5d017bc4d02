// Command fnbinit is process 1 of a virtual machine whose root file system fnb made: [main] mounts what programs expect, brings up
// the network, starts what the image says, and turns the machine off once that has ended. No shell takes part.
package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const bootFile = "/.fnb/boot.json"

// A boot is what is started, as fnb wrote it.
type boot struct {
	Args      []string `json:"args"`
	Env       []string `json:"env"`
	Directory string   `json:"directory"`
	User      string   `json:"user"`
}

// main never returns where it is process 1: at its end the machine is off.
func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "fnbinit is process 1 of a virtual machine, and nothing else")
		os.Exit(2)
	}
	out := io.Writer(os.Stderr)
	if inMemory() {
		fmt.Fprintf(out, "fnb: %v\n", fromMemory())
		off(false)
	}
	c, err := run(&out)
	if err != nil {
		fmt.Fprintf(out, "fnb: %v\n", err)
	}
	off(c.restart)
}

func run(out *io.Writer) (cmdline, error) {
	var c cmdline
	if err := mount("/proc"); err != nil {
		return c, err
	}
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return c, err
	}
	c, err = readCmdline(string(text))
	if err != nil {
		return c, fmt.Errorf("the kernel's command line: %w", err)
	}
	if c.overlay {
		if err := overlay(); err != nil {
			return c, err
		}
	}
	if err := mountAll(); err != nil {
		return c, err
	}
	if console, err := os.OpenFile("/dev/console", os.O_RDWR, 0); err == nil {
		*out = console // what the kernel gave may be of another file system
		for fd := range 3 {
			_ = unix.Dup3(int(console.Fd()), fd, 0) //nolint:gosec // a file descriptor; without it, output goes where it went
		}
	}
	name := c.net.host
	if name == "" {
		name = "function"
	}
	if err := hosts(name); err != nil {
		return c, fmt.Errorf("naming the machine: %w", err)
	}
	resolv, err := connect(c.net, *out)
	if err != nil {
		return c, fmt.Errorf("bringing up the network: %w", err)
	}
	if err := nameServers(resolv); err != nil {
		return c, fmt.Errorf("writing name servers: %w", err)
	}
	return c, function(c, *out)
}

// function runs what the image says, until it ends. It takes all processes that others leave behind.
func function(c cmdline, out io.Writer) error {
	raw, err := os.ReadFile(bootFile)
	if err != nil {
		return err
	}
	var b boot
	if err := json.Unmarshal(raw, &b); err != nil {
		return fmt.Errorf("%s: %w", bootFile, err)
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF) // Ctrl-Alt-Del becomes SIGINT; a machine without a keyboard has none
	stops := make(chan os.Signal, 4)
	signal.Notify(stops, unix.SIGTERM, unix.SIGINT, unix.SIGPWR)
	powerButtons(stops)
	process, err := start(b, c.env)
	if err != nil {
		return fmt.Errorf("starting %s: %w", strings.Join(b.Args, " "), err)
	}
	go func() {
		for range stops {
			_ = process.Signal(unix.SIGTERM) // one that has ended needs none
		}
	}()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if pid == process.Pid {
			fmt.Fprintf(out, "fnb: the function ended with %s\n", ending(status))
			return nil
		}
	}
}

func ending(s unix.WaitStatus) string {
	if s.Signaled() {
		return "signal " + s.Signal().String()
	}
	return fmt.Sprintf("code %d", s.ExitStatus())
}

// start starts the image's process as its user, in its folder.
func start(b boot, more []string) (*os.Process, error) {
	if len(b.Args) == 0 {
		return nil, errors.New("the image names no program")
	}
	who, err := lookUp(b.User, "/etc/passwd", "/etc/group")
	if err != nil {
		return nil, err
	}
	env := append(b.Env, more...)
	if err := os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"); err != nil {
		return nil, err
	}
	home := "HOME=" + who.home
	for _, pair := range env {
		if path, ok := strings.CutPrefix(pair, "PATH="); ok {
			if err := os.Setenv("PATH", path); err != nil {
				return nil, err
			}
		}
		if strings.HasPrefix(pair, "HOME=") {
			home = pair
		}
	}
	cmd := exec.Command(b.Args[0], b.Args[1:]...) //nolint:gosec,noctx // what the image says, for as long as the machine runs
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, append(env, home)...)
	cmd.Dir = b.Directory
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: who.uid, Gid: who.gid, Groups: who.groups}}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return cmd.Process, nil
}

// off ends what still runs, and turns the machine off.
func off(restart bool) {
	_ = unix.Kill(-1, unix.SIGTERM) // nobody may be left
	time.Sleep(100 * time.Millisecond)
	_ = unix.Kill(-1, unix.SIGKILL)
	unix.Sync()
	_ = unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_RDONLY, "") // what is written is on the disk already
	how := unix.LINUX_REBOOT_CMD_POWER_OFF
	if restart {
		how = unix.LINUX_REBOOT_CMD_RESTART
	}
	_ = unix.Reboot(how)
	select {} // a process 1 that ends is a kernel that panics
}

// powerButtons has a button that turns the machine off be SIGTERM.
func powerButtons(stops chan<- os.Signal) {
	const keyEvent, keyPower = 1, 116
	files, _ := filepath.Glob("/dev/input/event*") // the pattern is right
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		go func() {
			defer func() { _ = f.Close() }() // it was only read
			buf := make([]byte, 2*unsafeLong+8)
			for {
				if _, err := io.ReadFull(f, buf); err != nil {
					return
				}
				e := buf[2*unsafeLong:]
				if binary.NativeEndian.Uint16(e) == keyEvent && binary.NativeEndian.Uint16(e[2:]) == keyPower && binary.NativeEndian.Uint32(e[4:]) == 1 {
					stops <- unix.SIGPWR
				}
			}
		}()
	}
}
