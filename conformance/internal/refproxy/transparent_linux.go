// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// capture makes a sandbox transparent: the init is the destination of every connection and every query inside. A
// connection becomes a CONNECT at the door, for the name its address was given out for.
type capture struct {
	s     settings
	rules *policy
	pool  *pool
}

// mostPorts bounds the listeners.
const mostPorts = 1024

// capture opens everything before there is a command.
func (s *settings) startCapture() error {
	rules, err := newPolicy(s.Allow, s.Deny, s.Faults)
	if err != nil {
		return err
	}
	c := &capture{s: *s, rules: rules, pool: newPool(*s)}
	ports, err := c.ports()
	if err != nil {
		return err
	}
	families, network := []byte{syscall.AF_INET, syscall.AF_INET6}, "tcp"
	if s.Faults.Has(CaptureIPv4Only) {
		families, network = families[:1], "tcp4"
	}
	for _, f := range families {
		if err := routeLocal(f); err != nil {
			return err
		}
	}
	for port := range ports {
		l, err := net.Listen(network, fmt.Sprintf(":%d", port))
		if err != nil {
			return fmt.Errorf("refproxy: capturing port %d: %w", port, err)
		}
		go c.accept(l, c.connection)
	}
	s.capture = c
	return errors.Join(c.serveUDP(), c.serveNames())
}

// ports are those the policy names, apart from 53, which is the name server's.
func (c *capture) ports() (map[uint16]bool, error) {
	out := map[uint16]bool{}
	for _, r := range c.rules.allow {
		lo, hi := int(r.lo), int(r.hi)
		switch {
		case lo == 0, c.s.Faults.Has(EveryPortFeigned) && hi-lo > mostPorts:
			out[80], out[443] = true, true
			continue
		case hi-lo > mostPorts:
			return nil, fmt.Errorf("refproxy: %s: more than %d ports cannot be captured; name them", r.text, mostPorts)
		}
		for p := lo; p <= hi; p++ {
			out[uint16(p)] = true
		}
	}
	if c.s.Faults.Has(PortIgnored) {
		out[22], out[8443] = true, true
	}
	if c.s.Faults.Has(GreedyPorts) {
		out[3000], out[8080] = true, true
	}
	delete(out, 53)
	return out, nil
}

func (c *capture) accept(l net.Listener, serve func(*net.TCPConn)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go serve(conn.(*net.TCPConn))
	}
}

// connection carries one captured connection to where it was going.
func (c *capture) connection(in *net.TCPConn) {
	local := in.LocalAddr().(*net.TCPAddr).AddrPort()
	target, ok := c.target(netip.AddrPortFrom(local.Addr().Unmap(), local.Port()))
	if !ok {
		c.refuse(in, 403)
		return
	}
	if c.s.Faults.Has(EarlyEndRefused) && gone(in) {
		reset(in)
		return
	}
	out, err := net.Dial("unix", c.s.Door)
	if err != nil {
		reset(in)
		return
	}
	fmt.Fprintf(out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target)
	br := bufio.NewReader(out)
	status := 0
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			c.refuse(in, 502)
			out.Close()
			return
		}
		if status == 0 {
			fmt.Sscanf(line, "HTTP/1.1 %d", &status)
		}
		if line == "\r\n" {
			break
		}
	}
	if status != 200 {
		out.Close()
		c.refuse(in, status)
		return
	}
	early, _ := br.Peek(br.Buffered())
	in.Write(early)
	if c.s.Faults.Has(CaptureKept) {
		go io.Copy(in, out)
		io.Copy(out, in)
		return
	}
	join(in, out.(*net.UnixConn))
}

// gone is the fault EarlyEndRefused: the end of a client's side is in its state, whatever there is to be read before.
func gone(in *net.TCPConn) bool {
	info, err := tcpState(in)
	const closeWait = 8
	for range 20 {
		if err != nil || info == closeWait {
			return true
		}
		<-time.After(time.Millisecond)
		info, err = tcpState(in)
	}
	return false
}

func tcpState(in *net.TCPConn) (state byte, err error) {
	raw, err := in.SyscallConn()
	if err != nil {
		return 0, err
	}
	cerr := raw.Control(func(fd uintptr) {
		var info *unix.TCPInfo
		if info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			state = info.State
		}
	})
	return state, errors.Join(cerr, err)
}

// target is where an address leads.
func (c *capture) target(at netip.AddrPort) (string, bool) {
	if name, ok := c.pool.name(at.Addr()); ok {
		return fmt.Sprintf("%s:%d", name, at.Port()), true
	}
	return at.String(), !c.pool.covers(at.Addr()) && !c.s.Faults.Has(LiteralsNotCaptured)
}

// refuse ends a connection without a byte.
func (c *capture) refuse(in *net.TCPConn, status int) {
	f := c.s.Faults
	switch {
	case f.Has(CaptureHangs) && status == 403, f.Has(FailureHangs) && status != 403:
		select {}
	case f.Has(AnswersInHTTP):
		fmt.Fprintf(in, "HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n", status)
		in.Close()
	case f.Has(EndsInOrder):
		in.CloseWrite()
		in.Read(make([]byte, 4096)) // else what has come would turn the end into a reset
		in.Close()
	default:
		reset(in)
	}
}

// requests is what a client inside says to the proxy. An address of the pool in the first request becomes its name.
func (c *capture) requests(in *net.TCPConn, door net.Conn) {
	br := bufio.NewReader(in)
	line, err := br.ReadString('\n')
	method, rest, _ := strings.Cut(line, " ")
	target, version, _ := strings.Cut(rest, " ")
	if at, perr := netip.ParseAddrPort(target); perr == nil && !c.s.Faults.Has(PoolNotTranslated) {
		if name, ok := c.pool.name(at.Addr().Unmap()); ok {
			line = fmt.Sprintf("%s %s:%d %s", method, name, at.Port(), version)
		}
	}
	early, _ := br.Peek(br.Buffered())
	door.Write(append([]byte(line), early...))
	if err != nil {
		door.(*net.UnixConn).CloseWrite()
	}
	join(in, door.(*net.UnixConn))
}

// serveUDP is there for its faults: without them datagrams find nobody but the name server.
func (c *capture) serveUDP() error {
	f := c.s.Faults
	if !f.Has(UDPSwallowed) && !f.Has(UDPRelayed) {
		return nil
	}
	l, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 443})
	if err == nil {
		err = infoPacket(l, syscall.SOL_IP, syscall.IP_PKTINFO)
	}
	if err != nil || f.Has(UDPSwallowed) {
		return err
	}
	go receive(l, func(msg []byte, to netip.Addr) []byte {
		out, err := net.Dial("unix", datagrams(c.s.Door))
		if err != nil {
			return nil
		}
		defer out.Close()
		fmt.Fprintf(out, "%s:443\n%s", to, msg)
		return nil
	})
	return nil
}

// routeLocal makes every address of a family the sandbox's own: local 0.0.0.0/0 dev lo, or local ::/0, in table local.
func routeLocal(family byte) error {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("refproxy: netlink: %w", err)
	}
	defer syscall.Close(fd)
	const length = syscall.SizeofNlMsghdr + syscall.SizeofRtMsg + 8
	msg := binary.NativeEndian.AppendUint32(nil, length)
	msg = binary.NativeEndian.AppendUint16(msg, syscall.RTM_NEWROUTE)
	msg = binary.NativeEndian.AppendUint16(msg, syscall.NLM_F_REQUEST|syscall.NLM_F_ACK|syscall.NLM_F_CREATE)
	msg = append(msg, make([]byte, 8)...)
	msg = append(msg, family, 0, 0, 0, syscall.RT_TABLE_LOCAL, syscall.RTPROT_BOOT, syscall.RT_SCOPE_HOST, syscall.RTN_LOCAL, 0, 0, 0, 0)
	msg = binary.NativeEndian.AppendUint16(msg, 8)
	msg = binary.NativeEndian.AppendUint16(msg, syscall.RTA_OIF)
	msg = binary.NativeEndian.AppendUint32(msg, 1) // the loopback device
	if err := syscall.Sendto(fd, msg, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return fmt.Errorf("refproxy: netlink: %w", err)
	}
	buf := make([]byte, 4096)
	n, _, err := syscall.Recvfrom(fd, buf, 0)
	if err != nil || n < syscall.SizeofNlMsghdr+4 {
		return errors.Join(errors.New("refproxy: netlink does not answer"), err)
	}
	if code := int32(binary.NativeEndian.Uint32(buf[syscall.SizeofNlMsghdr:])); code != 0 {
		return fmt.Errorf("refproxy: making every address local: %w", syscall.Errno(-code))
	}
	return nil
}
