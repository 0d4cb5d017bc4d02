// Command fnbinit is process 1 of a virtual machine whose root file system fnb made: [main] mounts what programs expect, brings up
// the network, starts what the image says, and turns the machine off once that has ended. No shell takes part.
//
// It is on each disk beside the image's files, so it is to be small: it has neither net, fmt, encoding/json nor os/exec, which
// would make it twice as large.
package main

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const bootFile = "/.fnb/boot"

// main never returns where it is process 1: at its end the machine is off.
func main() {
	if os.Getpid() != 1 {
		say(os.Stderr, "this is process 1 of a virtual machine, and nothing else")
		os.Exit(2)
	}
	if inMemory() {
		say(os.Stderr, fromMemory().Error())
		off(false)
	}
	out := os.Stderr
	c, err := run(&out)
	if err != nil {
		say(out, err.Error())
	}
	off(c.restart)
}

// say writes a line to the console.
func say(out *os.File, line string) {
	_, _ = out.WriteString("fnb: " + line + "\n") // nobody else could be told
}

// run readies the machine, and runs the function to its end. Once there is a console of its own, out is that.
func run(out **os.File) (cmdline, error) {
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
		return c, doing("the kernel's command line", err)
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
		return c, doing("naming the machine", err)
	}
	resolv, err := connect(c.net, *out)
	if err != nil {
		return c, doing("bringing up the network", err)
	}
	if err := nameServers(resolv); err != nil {
		return c, doing("writing name servers", err)
	}
	if c.vsock != 0 {
		if err := forward(c.vsock); err != nil {
			return c, doing("listening at the vsock port "+strconv.Itoa(int(c.vsock)), err)
		}
	}
	return c, function(c, *out)
}

// function runs what the image says, until it ends. It takes all processes that others leave behind.
func function(c cmdline, out *os.File) error {
	raw, err := os.ReadFile(bootFile)
	if err != nil {
		return err
	}
	b, err := readBoot(string(raw))
	if err != nil {
		return doing(bootFile, err)
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF) // Ctrl-Alt-Del becomes SIGINT; a machine without a keyboard has none
	stops := make(chan os.Signal, 4)
	signal.Notify(stops, unix.SIGTERM, unix.SIGINT, unix.SIGPWR)
	powerButtons(stops)
	process, err := start(b, c.env)
	if err != nil {
		return doing("starting "+strings.Join(b.args, " "), err)
	}
	go func() {
		for range stops {
			_ = unix.Kill(process, unix.SIGTERM) // one that has ended needs none
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
		if pid == process {
			say(out, "the function ended with "+ending(status))
			return nil
		}
	}
}

func ending(s unix.WaitStatus) string {
	if s.Signaled() {
		return "signal " + s.Signal().String()
	}
	return "code " + strconv.Itoa(s.ExitStatus())
}

// start starts the image's process as its user, in its folder.
func start(b boot, more []string) (pid int, err error) {
	who, err := lookUp(b.user, "/etc/passwd", "/etc/group")
	if err != nil {
		return 0, err
	}
	env, path := environment(who.home, b.env, more)
	dir := b.directory
	if dir == "" {
		dir = "/"
	}
	program, err := find(b.args[0], path)
	if err != nil {
		return 0, err
	}
	nothing, err := os.Open("/dev/null")
	if err != nil {
		return 0, err
	}
	defer nothing.Close() //nolint:errcheck // the process has its own
	return syscall.ForkExec(program, b.args, &syscall.ProcAttr{
		Dir: dir, Env: env, Files: []uintptr{nothing.Fd(), 1, 2},
		Sys: &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: who.uid, Gid: who.gid, Groups: who.groups}},
	})
}

// find finds a program in the folders of a PATH, unless it has a slash.
func find(name, path string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for dir := range strings.SplitSeq(path, ":") {
		file := dir + "/" + name
		if fi, err := os.Stat(file); dir != "" && err == nil && !fi.IsDir() && fi.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", errors.New("it is not in " + path)
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
	const (
		folder             = "/dev/input"
		keyEvent, keyPower = 1, 116
	)
	files, _ := os.ReadDir(folder) // without it there is no button
	for _, file := range files {
		if !strings.HasPrefix(file.Name(), "event") {
			continue
		}
		f, err := os.Open(folder + "/" + file.Name())
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
