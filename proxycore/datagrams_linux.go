// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// maxControl is room for the control message that says where a datagram was sent
// to, and for some that a sandbox may have asked for before it handed the socket
// over.
const maxControl = 256

// tellDestinations makes the kernel say of each datagram which address it was sent
// to, and lets replies come from there.
func tellDestinations(u *net.UDPConn) error {
	raw, err := u.SyscallConn()
	if err == nil {
		controlErr := raw.Control(func(fd uintptr) { err = setPacketInfo(int(fd)) })
		if err == nil {
			err = controlErr
		}
	}
	if err != nil {
		return fmt.Errorf("proxycore: capture: set up the name server's socket %s: %w", u.LocalAddr(), err)
	}
	return nil
}

func setPacketInfo(fd int) error {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return err
	}
	if domain != unix.AF_INET6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	// Addresses that are local only by a route are nobody's own for IPv6: it sends
	// from them only what may come from anywhere. (IPv4 asks the routes.)
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1); err != nil {
		return err
	}
	// For IPv4 datagrams of a dual-stack socket, too; the address is mapped then.
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
}

// replyFrom picks out of a datagram's control messages the one that says where it
// was sent to. Sent along with the reply it says where that comes from: the kernel
// has the same structure for both. Without one there is none.
func replyFrom(control []byte) []byte {
	for rest := control; len(rest) >= unix.SizeofCmsghdr; {
		h, _, next, err := unix.ParseOneSocketControlMessage(rest)
		if err != nil {
			return nil
		}
		v4 := h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO
		v6 := h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO
		if v4 || v6 {
			return rest[:len(rest)-len(next)]
		}
		rest = next
	}
	return nil
}
