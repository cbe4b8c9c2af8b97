// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"encoding/binary"
	"errors"
	"syscall"
)

// tryRoutes adds and removes routes over netlink. A sandbox that captures needs some; its command must not touch them.
func tryRoutes() Result {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW, syscall.NETLINK_ROUTE)
	if err != nil {
		return failed(err)
	}
	defer syscall.Close(fd)
	for _, family := range []byte{syscall.AF_INET, syscall.AF_INET6} {
		for _, what := range []struct {
			text              string
			kind, flags       uint16
			table, form, keep byte
		}{
			{"added", syscall.RTM_NEWROUTE, syscall.NLM_F_CREATE, syscall.RT_TABLE_MAIN, syscall.RTN_UNICAST, syscall.RT_SCOPE_LINK},
			{"removed", syscall.RTM_DELROUTE, 0, syscall.RT_TABLE_LOCAL, syscall.RTN_LOCAL, syscall.RT_SCOPE_HOST},
		} {
			// struct rtmsg for 0.0.0.0/0 or ::/0, and RTA_OIF: interface 1, the loopback device.
			msg := binary.NativeEndian.AppendUint32(nil, 36)
			msg = binary.NativeEndian.AppendUint16(msg, what.kind)
			msg = binary.NativeEndian.AppendUint16(msg, what.flags|syscall.NLM_F_REQUEST|syscall.NLM_F_ACK)
			msg = append(msg, make([]byte, 8)...)
			msg = append(msg, family, 0, 0, 0, what.table, syscall.RTPROT_BOOT, what.keep, what.form, 0, 0, 0, 0)
			msg = binary.NativeEndian.AppendUint16(msg, 8)
			msg = binary.NativeEndian.AppendUint16(msg, syscall.RTA_OIF)
			msg = binary.NativeEndian.AppendUint32(msg, 1)
			if err = acknowledged(fd, msg); err == nil {
				return Result{Done: true, Detail: "a route was " + what.text}
			}
		}
	}
	return failed(err)
}

// acknowledged sends a request of netlink and returns the kernel's verdict.
func acknowledged(fd int, msg []byte) error {
	if err := syscall.Sendto(fd, msg, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	n, _, err := syscall.Recvfrom(fd, buf, 0)
	if err != nil || n < 20 {
		return errors.Join(err, errors.New("no answer"))
	}
	if code := int32(binary.NativeEndian.Uint32(buf[16:])); code != 0 {
		return syscall.Errno(-code)
	}
	return nil
}
