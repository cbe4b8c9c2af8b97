// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// maxRights is how many descriptors the kernel passes with a message (SCM_MAX_FD). There must be room for
// all: those that there is none for the kernel closes, in its own way, before it returns.
const maxRights = 253

// readPacket reads one packet into b, and returns the descriptors that came along, also with an error:
// an empty packet, which is the end to package net, may have some.
func readPacket(c *net.UnixConn, b []byte) (n int, fds []int, flags int, err error) {
	oob := make([]byte, unix.CmsgSpace(4*maxRights))
	n, oobn, flags, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		fds, _ = rights(oob[:max(oobn, 0)])
		for _, fd := range fds {
			unix.CloseOnExec(fd) // package net has not done this, then
		}
		return 0, fds, flags, err
	}
	fds, err = rights(oob[:oobn])
	return n, fds, flags, err
}

// rights returns the descriptors in control data.
func rights(oob []byte) (fds []int, err error) {
	cmsgs, err := unix.ParseSocketControlMessage(oob)
	for _, c := range cmsgs {
		if c.Header.Level != unix.SOL_SOCKET || c.Header.Type != unix.SCM_RIGHTS {
			continue
		}
		got, perr := unix.ParseUnixRights(&c)
		fds, err = append(fds, got...), errors.Join(err, perr)
	}
	return fds, err
}

// closeForeign closes descriptors that came from a peer, which may have prepared them: with SO_LINGER
// set, to close a socket takes until its other end has taken everything.
func closeForeign(fds []int) {
	for _, fd := range fds {
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{}) // if it is a socket
		unix.Close(fd)
	}
}

// closeControl closes c, whose peer may have left descriptors there that nobody has received. The
// kernel would close them with it, in its own way, and this thread would wait for that.
func closeControl(c *net.UnixConn) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { drain(int(fd)) })
	}
	c.Close()
}

// drain receives what there still is on the socket, and lets nothing more in. Every packet is made to come with
// its sender's credentials, so that an empty one is not taken for the end.
func drain(sock int) {
	if errors.Join(unix.SetsockoptInt(sock, unix.SOL_SOCKET, unix.SO_PASSCRED, 1), unix.Shutdown(sock, unix.SHUT_RD)) != nil {
		return
	}
	b, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(4*maxRights)+unix.CmsgSpace(unix.SizeofUcred))
	for {
		n, oobn, _, _, err := unix.Recvmsg(sock, b, oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || n == 0 && oobn == 0:
			return
		}
		fds, _ := rights(oob[:oobn])
		closeForeign(fds)
	}
}
