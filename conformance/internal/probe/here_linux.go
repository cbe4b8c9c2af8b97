// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// isHere tries a door from this process, which no sandbox holds.
func isHere(d door) bool {
	opens := func(name string) bool { return tryKernel(Action{Address: name}).Done }
	switch d {
	case doorVsock:
		return tryFamily(Action{Address: "40"}).Done
	case doorXDP:
		fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
		}
		return !errors.Is(err, unix.EAFNOSUPPORT) // who may use it depends on who asks
	case doorRing:
		return opens("io_uring")
	case doorForeign: // trying it may end the process
		r := apart([]Action{{Do: "foreign", Network: "i386", Address: "/", Timeout: 1000, Apart: true}})[0]
		return strings.HasPrefix(r.Detail, "connect: ") // there was a socket to connect
	case doorKeys:
		_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_PROCESS_KEYRING, true)
		return err == nil
	case doorInterfaces:
		return opens("userfaultfd") || opens("perf_event_open")
	case doorTyping:
		value, err := os.ReadFile("/proc/sys/dev/tty/legacy_tiocsti")
		return err != nil || strings.TrimSpace(string(value)) != "0" // before Linux 6.2 there is no such setting
	}
	return true
}
