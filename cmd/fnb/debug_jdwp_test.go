package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// A jdwpClient speaks Java's debug wire protocol.
type jdwpClient struct {
	conn  net.Conn
	id    uint32
	lines map[uint64]int // of the handler's method, by the index of its code
	event []byte         // one that came before it was waited for
}

// Commands that are needed: the set in the high byte.
const (
	jdwpClasses   = 1<<8 | 2
	jdwpSizes     = 1<<8 | 7
	jdwpMethods   = 2<<8 | 5
	jdwpLineTable = 6<<8 | 1
	jdwpSetEvent  = 15<<8 | 1
	jdwpComposite = 64<<8 | 100
)

// read is one packet: of a reply its id, of an event its command.
func (c *jdwpClient) read() (id uint32, command int, data []byte, err error) {
	var head [11]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		return 0, 0, nil, err
	}
	data = make([]byte, binary.BigEndian.Uint32(head[:])-11)
	if _, err := io.ReadFull(c.conn, data); err != nil {
		return 0, 0, nil, err
	}
	id, code := binary.BigEndian.Uint32(head[4:]), int(binary.BigEndian.Uint16(head[9:]))
	if head[8] == 0 {
		return id, code, data, nil
	}
	if code != 0 {
		err = fmt.Errorf("JDWP refuses with error %d", code)
	}
	return id, 0, data, err
}

// call sends a command of numbers, each of 1, 4 or 8 bytes, and texts.
func (c *jdwpClient) call(command uint16, values ...any) (*jdwpReader, error) {
	c.id++
	raw := binary.BigEndian.AppendUint32(make([]byte, 4), c.id)
	raw = binary.BigEndian.AppendUint16(append(raw, 0), command)
	for _, v := range values {
		switch v := v.(type) {
		case byte:
			raw = append(raw, v)
		case uint32:
			raw = binary.BigEndian.AppendUint32(raw, v)
		case uint64:
			raw = binary.BigEndian.AppendUint64(raw, v)
		case string:
			raw = append(binary.BigEndian.AppendUint32(raw, uint32(len(v))), v...)
		}
	}
	binary.BigEndian.PutUint32(raw, uint32(len(raw)))
	if _, err := c.conn.Write(raw); err != nil {
		return nil, err
	}
	for {
		id, event, data, err := c.read()
		if err != nil {
			return nil, err
		}
		if event == jdwpComposite {
			c.event = data
		} else if id == c.id {
			return &jdwpReader{data}, nil
		}
	}
}

// A jdwpReader reads the fields of an answer. A field that is not there ends the test with a
// panic, whose stack says which one.
type jdwpReader struct{ data []byte }

func (r *jdwpReader) number(size int) (n uint64) {
	for _, b := range r.data[:size] {
		n = n<<8 | uint64(b)
	}
	r.data = r.data[size:]
	return n
}

func (r *jdwpReader) text() string {
	n := r.number(4)
	s := string(r.data[:n])
	r.data = r.data[n:]
	return s
}

// jdwpSession attaches to a Java machine.
func jdwpSession(t *testing.T, d debugged) session {
	t.Helper()
	c := &jdwpClient{conn: dialDebugger(t, d.Debugger.Address), lines: map[uint64]int{}}
	if err := c.attach("L"+strings.TrimSuffix(d.file, ".java")+";", "handle", d.line); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *jdwpClient) attach(class, method string, line int) error {
	const hello = "JDWP-Handshake"
	if _, err := io.WriteString(c.conn, hello); err != nil {
		return err
	}
	back := make([]byte, len(hello))
	if _, err := io.ReadFull(c.conn, back); err != nil || string(back) != hello {
		return fmt.Errorf("the handshake: %q %w", back, err)
	}
	r, err := c.call(jdwpSizes)
	if err != nil {
		return err
	}
	for range 5 {
		if n := r.number(4); n != 8 {
			return fmt.Errorf("ids of %d bytes, not of 8", n)
		}
	}
	if r, err = c.call(jdwpClasses, class); err != nil {
		return err
	}
	if n := r.number(4); n != 1 {
		return fmt.Errorf("%d classes %s", n, class)
	}
	tag, kind := byte(r.number(1)), r.number(8)
	if r, err = c.call(jdwpMethods, kind); err != nil {
		return err
	}
	for range r.number(4) {
		id, name, _, _ := r.number(8), r.text(), r.text(), r.number(4)
		if name != method {
			continue
		}
		table, err := c.call(jdwpLineTable, kind, id)
		if err != nil {
			return err
		}
		table.number(16)
		for range table.number(4) {
			at, n := table.number(8), int(table.number(4))
			c.lines[at] = n
			if n != line {
				continue
			}
			const breakpoint, all, location = byte(2), byte(2), byte(7)
			_, err := c.call(jdwpSetEvent, breakpoint, all, uint32(1), location, tag, kind, id, at)
			return err
		}
	}
	return errors.New("no code is of the line: " + fmt.Sprint(c.lines))
}

func (c *jdwpClient) stopped() (int, error) {
	for c.event == nil {
		_, command, data, err := c.read()
		if err != nil {
			return 0, err
		}
		if command == jdwpComposite {
			c.event = data
		}
	}
	r := &jdwpReader{c.event[1+4+1+4+8+1+8+8:]} // behind policy, number, kind, request, thread, tag, class and method
	return c.lines[r.number(8)], nil
}

func (c *jdwpClient) leave() error { return c.conn.Close() }

func (c *jdwpClient) ended() error {
	for {
		if _, _, _, err := c.read(); err != nil {
			return err
		}
	}
}
