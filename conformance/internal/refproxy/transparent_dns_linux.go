// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
)

// serveNames answers queries to every address there is, over UDP and TCP.
func (c *capture) serveNames() error {
	at4, at6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	if c.s.Faults.Has(OneResolver) {
		at, err := nameServer()
		if err != nil {
			return err
		}
		at4, at6 = at.Addr(), netip.IPv6Loopback()
	}
	u4, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at4, 53)))
	if err == nil {
		err = infoPacket(u4, syscall.SOL_IP, syscall.IP_PKTINFO)
	}
	if err != nil {
		return fmt.Errorf("refproxy: the name server inside: %w", err)
	}
	go receive(u4, func(msg []byte, _ netip.Addr) []byte { return c.answer(msg) })
	u6, err := net.ListenUDP("udp6", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at6, 53)))
	if err == nil {
		err = infoPacket(u6, syscall.SOL_IPV6, syscall.IPV6_RECVPKTINFO)
	}
	if err != nil {
		return fmt.Errorf("refproxy: the name server inside: %w", err)
	}
	go receive(u6, func(msg []byte, _ netip.Addr) []byte { return c.answer(msg) })
	if c.s.Faults.Has(StreamsMissing) {
		return nil
	}
	l, err := net.Listen("tcp", ":53")
	if err != nil {
		return fmt.Errorf("refproxy: the name server inside: %w", err)
	}
	go c.accept(l, c.stream)
	return nil
}

// infoPacket makes datagrams come with the address they were sent to, and lets the answer come from there.
func infoPacket(u *net.UDPConn, level, option int) error {
	raw, err := u.SyscallConn()
	if err != nil {
		return err
	}
	const freebind = 15 // IP_FREEBIND: an address that is local by a route alone
	cerr := raw.Control(func(fd uintptr) {
		err = errors.Join(syscall.SetsockoptInt(int(fd), level, option, 1), syscall.SetsockoptInt(int(fd), syscall.SOL_IP, freebind, 1))
	})
	return errors.Join(cerr, err)
}

// receive answers datagrams from the addresses they were sent to; nil is no answer.
func receive(u *net.UDPConn, answer func(msg []byte, to netip.Addr) []byte) {
	buf, oob := make([]byte, 64<<10), make([]byte, 256)
	for {
		n, m, _, from, err := u.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			return
		}
		to, back := destination(oob[:m])
		if b := answer(append([]byte(nil), buf[:n]...), to); b != nil {
			u.WriteMsgUDPAddrPort(b, back, from)
		}
	}
}

// destination reads where a datagram was sent, and makes the message by which the answer comes from there.
func destination(oob []byte) (netip.Addr, []byte) {
	all, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return netip.Addr{}, nil
	}
	for _, m := range all {
		switch {
		case m.Header.Level == syscall.SOL_IP && m.Header.Type == syscall.IP_PKTINFO && len(m.Data) >= 12:
			// struct in_pktinfo: the interface, the address to send from, the address it was sent to.
			to := netip.AddrFrom4([4]byte(m.Data[8:12]))
			return to, control(syscall.SOL_IP, syscall.IP_PKTINFO, append(append(make([]byte, 4), m.Data[8:12]...), 0, 0, 0, 0))
		case m.Header.Level == syscall.SOL_IPV6 && m.Header.Type == syscall.IPV6_PKTINFO && len(m.Data) >= 20:
			to := netip.AddrFrom16([16]byte(m.Data[:16]))
			return to, control(syscall.SOL_IPV6, syscall.IPV6_PKTINFO, append(m.Data[:16:16], 0, 0, 0, 0))
		}
	}
	return netip.Addr{}, nil
}

// control is one control message, as cmsg(3) has it.
func control(level, kind int, data []byte) []byte {
	b := binary.NativeEndian.AppendUint64(nil, uint64(syscall.CmsgLen(len(data))))
	b = binary.NativeEndian.AppendUint32(b, uint32(level))
	b = binary.NativeEndian.AppendUint32(b, uint32(kind))
	b = append(b, data...)
	return append(b, make([]byte, syscall.CmsgSpace(len(data))-len(b))...)
}

// stream answers the queries of one TCP connection (RFC 7766).
func (c *capture) stream(in *net.TCPConn) {
	defer in.Close()
	for {
		var n [2]byte
		if _, err := io.ReadFull(in, n[:]); err != nil {
			return
		}
		msg := make([]byte, binary.BigEndian.Uint16(n[:]))
		if _, err := io.ReadFull(in, msg); err != nil {
			return
		}
		b := c.answer(msg)
		if b == nil {
			return
		}
		in.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	}
}

// forward is what the faults do with a query that has to stay.
func (c *capture) forward(msg []byte) []byte {
	out, err := net.Dial("unix", names(c.s.Door))
	if err != nil {
		return nil
	}
	defer out.Close()
	if _, err := out.Write(msg); err != nil {
		return nil
	}
	buf := make([]byte, 64<<10)
	n, err := out.Read(buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}
