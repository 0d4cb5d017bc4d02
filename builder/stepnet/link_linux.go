package stepnet

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	mtu = 65520
	// queueLength is how many packets wait for a step's device. What does not fit is
	// lost, as on any network.
	queueLength = 1024
	frameHeader = header.EthernetMinimumSize
	wireBuffer  = 8 << 20 // bytes that wait to be read
)

// A wire is the end of a step's device that the builder has.
type wire struct {
	file   *os.File          // a packet socket
	header [frameHeader]byte // of a frame to the step
}

// openWire opens the end of a device. It has to be called in its namespace.
func openWire(end *netlink.LinkAttrs, device net.HardwareAddr) (*wire, error) {
	everything := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(everything))
	if err != nil {
		return nil, fmt.Errorf("opening a packet socket: %w", err)
	}
	w := &wire{file: os.NewFile(uintptr(fd), end.Name)} // a number of the kernel's
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: end.Index}); err != nil {
		_ = w.file.Close() // nothing was sent
		return nil, fmt.Errorf("opening %s: %w", end.Name, err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, wireBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, wireBuffer) // without root, what is allowed
	}
	header.Ethernet(w.header[:]).Encode(&header.EthernetFields{
		SrcAddr: tcpip.LinkAddress(end.HardwareAddr), DstAddr: tcpip.LinkAddress(device),
	})
	return w, nil
}

// A link carries packets between a step's device and the stack.
type link struct {
	*channel.Endpoint
	wire    *wire
	stop    context.CancelFunc
	readers chan struct{} // closed when nothing is read any more
	writers chan struct{} // and when nothing is written
}

func newLink(w *wire) *link {
	l := &link{
		Endpoint: channel.New(queueLength, mtu, ""), wire: w,
		readers: make(chan struct{}), writers: make(chan struct{}),
	}
	l.LinkEPCapabilities = stack.CapabilityRXChecksumOffload // the step's kernel leaves them to its device
	return l
}

// carry begins, once the stack has the link.
func (l *link) carry() {
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background()) // until close
	go func() {
		defer close(l.readers)
		l.read()
	}()
	go func() {
		defer close(l.writers)
		l.write(ctx)
	}()
}

// close ends the carrying, and closes the device.
func (l *link) close() error {
	err := l.wire.file.Close()
	l.stop()
	<-l.readers
	<-l.writers
	return err
}

func (l *link) read() {
	buf := make([]byte, frameHeader+1<<16)
	for {
		n, err := l.wire.file.Read(buf)
		if err != nil {
			return // it was closed
		}
		if n < frameHeader {
			continue
		}
		packet := buf[frameHeader:n]
		protocol, ok := carried(packet)
		if !ok {
			continue
		}
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(packet)})
		l.InjectInbound(protocol, pkt)
		pkt.DecRef()
	}
}

// carried tells the protocol of a packet that the stack is to have. It would answer a
// ping to any address, whether or not there is somebody: those are lost.
func carried(packet []byte) (tcpip.NetworkProtocolNumber, bool) {
	switch header.IPVersion(packet) {
	case header.IPv4Version:
		return header.IPv4ProtocolNumber, len(packet) >= header.IPv4MinimumSize && packet[9] != uint8(header.ICMPv4ProtocolNumber)
	case header.IPv6Version:
		return header.IPv6ProtocolNumber, len(packet) >= header.IPv6MinimumSize && packet[6] != uint8(header.ICMPv6ProtocolNumber)
	}
	return 0, false
}

func (l *link) write(ctx context.Context) {
	frame := append(make([]byte, 0, frameHeader+mtu), l.wire.header[:]...)
	for {
		pkt := l.ReadContext(ctx)
		if pkt == nil {
			return
		}
		binary.BigEndian.PutUint16(frame[frameHeader-2:], uint16(pkt.NetworkProtocolNumber))
		frame = frame[:frameHeader]
		for _, part := range pkt.AsSlices() {
			frame = append(frame, part...)
		}
		_, err := l.wire.file.Write(frame)
		pkt.DecRef()
		if err != nil && ctx.Err() != nil {
			return
		}
	}
}
