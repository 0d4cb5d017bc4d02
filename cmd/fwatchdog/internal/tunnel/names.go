package tunnel

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

const (
	// mostAsked is how many names are told of.
	mostAsked = 64
	// mostAsking is how many connections may ask at a time, and idleAsking how long one may be quiet.
	mostAsking = 64
	idleAsking = 10 * time.Second
)

// A server knows the names of ways out, as a server of DNS. All others do not exist, which it tells.
type server struct {
	ways []way
	tell func(name string)

	mu    sync.Mutex
	asked map[string]bool
}

func newServer(ways []way, tell func(string)) *server {
	return &server{ways: ways, tell: tell, asked: map[string]bool{}}
}

// packets answers what comes by UDP.
func (s *server) packets(conn net.PacketConn) {
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if answer := s.answer(buf[:n]); answer != nil {
			_, _ = conn.WriteTo(answer, from) // it asks again
		}
	}
}

// connections answers what comes by TCP.
func (s *server) connections(l net.Listener) {
	slots := make(chan struct{}, mostAsking)
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		select {
		case slots <- struct{}{}:
			go func() {
				s.converse(conn)
				<-slots
			}()
		default:
			_ = conn.Close() // it asks again
		}
	}
}

func (s *server) converse(conn net.Conn) {
	defer func() { _ = conn.Close() }() // what was written is on its way
	buf := make([]byte, 2+4096)
	for {
		if conn.SetDeadline(time.Now().Add(idleAsking)) != nil {
			return
		}
		if _, err := io.ReadFull(conn, buf[:2]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(buf))
		if n > len(buf)-2 {
			return
		}
		if _, err := io.ReadFull(conn, buf[2:2+n]); err != nil {
			return
		}
		answer := s.answer(buf[2 : 2+n])
		if answer == nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// Numbers of DNS (RFC 1035, RFC 6895).
const (
	headSize  = 12
	typeA     = 1
	classIN   = 1
	notFormed = 1
	noName    = 3
	seconds   = 60 // that an answer holds
)

// answer is what a question is answered with; nil is nothing.
func (s *server) answer(msg []byte) []byte {
	if len(msg) < headSize || msg[2]&0x80 != 0 { // an answer is no question
		return nil
	}
	// Of the flags, opcode and "recursion desired" come back; it is an answer, with recursion.
	out := append([]byte(nil), msg[:headSize]...)
	out[2] = msg[2]&0x79 | 0x80
	out[3] = 0x80
	clear(out[4:])
	name, kind, end := question(msg)
	if name == "" || msg[2]&0x78 != 0 {
		out[3] |= notFormed
		return out
	}
	out[5] = 1 // the question
	out = append(out, msg[headSize:end]...)
	ip := addressOf(s.ways, name)
	if name == "localhost" {
		ip = net.IPv4(127, 0, 0, 1).To4()
	}
	switch {
	case ip == nil:
		out[3] |= noName
		s.note(name)
	case kind == typeA:
		out[7] = 1 // an answer: the name of the question, an address
		out = append(out, 0xc0, headSize, 0, typeA, 0, classIN, 0, 0, 0, seconds, 0, byte(len(ip)))
		out = append(out, ip...)
	}
	return out
}

// question reads the first one: its name in small letters without the last dot, its type, and where it ends. There is
// no name if it is not well formed.
func question(msg []byte) (name string, kind uint16, end int) {
	if binary.BigEndian.Uint16(msg[4:]) != 1 {
		return "", 0, 0
	}
	var labels []string
	at := headSize
	for {
		if at >= len(msg) {
			return "", 0, 0
		}
		n := int(msg[at])
		at++
		if n == 0 {
			break
		}
		if n > 63 || at+n > len(msg) || at+n-headSize > 254 { // a pointer leads nowhere here
			return "", 0, 0
		}
		labels = append(labels, strings.ToLower(string(msg[at:at+n])))
		at += n
	}
	if at+4 > len(msg) {
		return "", 0, 0
	}
	return strings.Join(labels, "."), binary.BigEndian.Uint16(msg[at:]), at + 4
}

// note tells of a name the first time, if a host could have it: not of what asks for an address's name, or for a service.
func (s *server) note(name string) {
	if strings.HasSuffix(name, ".arpa") || strings.HasPrefix(name, "_") || strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	}) {
		return
	}
	s.mu.Lock()
	first := !s.asked[name] && len(s.asked) < mostAsked
	if first {
		s.asked[name] = true
	}
	s.mu.Unlock()
	if first {
		s.tell(name)
	}
}
