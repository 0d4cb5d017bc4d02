package gitrepo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// A catFile is git cat-file --batch: a process that answers one name after the other.
type catFile struct {
	asked *asked
	ctx   context.Context //nolint:containedctx // the process ends with it
	guard sync.Mutex      // of what follows
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	errs  *said
	tried map[string]bool // what has been fetched
}

func (a *asked) objects(ctx context.Context) (objects, error) {
	c := &catFile{asked: a, ctx: ctx, tried: map[string]bool{}}
	return c, c.start()
}

func (c *catFile) start() (err error) {
	c.cmd, c.errs = c.asked.command(c.ctx, "cat-file", "--batch")
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	c.out = bufio.NewReaderSize(out, 64<<10)
	if err := c.cmd.Start(); err != nil {
		return gitError(c.asked.repo.dir, "reading its objects", "", err)
	}
	return nil
}

// close ends the process. It may be called again.
func (c *catFile) close() error {
	c.guard.Lock()
	defer c.guard.Unlock()
	return c.end()
}

func (c *catFile) end() error {
	if c.cmd == nil {
		return nil
	}
	_ = c.in.Close() // it ends by that, or has ended
	_, _ = io.Copy(io.Discard, c.out)
	err := c.cmd.Wait()
	c.cmd = nil
	if c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	if err != nil {
		return gitError(c.asked.repo.dir, "reading its objects", c.errs.String(), err)
	}
	return nil
}

func (c *catFile) get(name string, limit int64) (content, error) {
	c.guard.Lock()
	defer c.guard.Unlock()
	o, err := c.answer(name, limit)
	var broken *brokenError
	if !errors.As(err, &broken) {
		return o, err
	}
	// Of a partial clone git ends where an object is missing that it must not fetch.
	ended := c.end()
	if ended == nil {
		ended = broken
	}
	partial, err := c.asked.partial(c.ctx)
	if err != nil || partial == "" || c.tried[name] || !isID(name) {
		return content{}, errors.Join(ended, err)
	}
	c.tried[name] = true
	if err := c.asked.fetch(c.ctx, name); err != nil {
		return content{}, err
	}
	if err := c.start(); err != nil {
		return content{}, err
	}
	return c.answer(name, limit)
}

// A brokenError says that the process has ended, or does not answer as it should.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return "git cat-file: " + e.err.Error() }

func (e *brokenError) Unwrap() error { return e.err }

// answer asks for one object.
func (c *catFile) answer(name string, limit int64) (content, error) {
	if c.cmd == nil {
		if err := c.start(); err != nil {
			return content{}, err
		}
	}
	_, err := io.WriteString(c.in, name+"\n")
	line := ""
	if err == nil {
		line, err = c.out.ReadString('\n')
	}
	if err != nil {
		return content{}, &brokenError{err}
	}
	line = strings.TrimSuffix(line, "\n")
	words := strings.Fields(line)
	switch {
	case strings.HasSuffix(line, " missing"), strings.HasSuffix(line, " ambiguous"):
		return content{}, &MissingError{Dir: c.asked.repo.dir, What: name, Shallow: c.asked.repo.Shallow}
	case len(words) != 3:
		return content{}, &brokenError{fmt.Errorf("it answers %q", line)}
	}
	size, err := strconv.ParseInt(words[2], 10, 64)
	if err != nil || size < 0 {
		return content{}, &brokenError{fmt.Errorf("it answers %q", line)}
	}
	o := content{id: words[0], kind: words[1]}
	if size > limit {
		if _, err := io.CopyN(io.Discard, c.out, size+1); err != nil {
			return content{}, &brokenError{err}
		}
		return content{}, ErrTooLarge
	}
	o.data = make([]byte, size+1) // and a newline
	if _, err := io.ReadFull(c.out, o.data); err != nil {
		return content{}, &brokenError{err}
	}
	o.data = o.data[:size]
	return o, nil
}

// isID reports whether a name is an object's id, in full.
func isID(name string) bool {
	return (len(name) == 40 || len(name) == 64) && strings.Trim(name, "0123456789abcdef") == ""
}
