// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// controlPair returns the two ends of a control socket, the host's first.
func controlPair(t *testing.T) (*net.UnixConn, int) {
	t.Helper()
	ours, theirs, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(ours), "control")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); unix.Close(theirs) })
	return c.(*net.UnixConn), theirs
}

// TestEntrancesRefused: the host serves nothing but one foreign TCP listener on 127.0.0.1.
func TestEntrancesRefused(t *testing.T) {
	t.Parallel()
	listener := func(t *testing.T, domain int, sa unix.Sockaddr, listen bool) int {
		fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if sa != nil { // an empty Unix address is one of the kernel's choice
			err = unix.Bind(fd, sa)
		}
		if listen {
			err = errors.Join(err, unix.Listen(fd, 1))
		}
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	local := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	for _, tc := range []struct {
		name, want string
		open       func(t *testing.T) []int
	}{
		{"nothing", "passed 0 descriptors", func(t *testing.T) []int { return nil }},
		{"two", "passed 2 descriptors", func(t *testing.T) []int {
			return []int{listener(t, unix.AF_INET, local, true), listener(t, unix.AF_INET, local, true)}
		}},
		{"host's listener", "host's own network namespace", func(t *testing.T) []int {
			return []int{listener(t, unix.AF_INET, local, true)}
		}},
		{"other address", "does not listen on 127.0.0.1", func(t *testing.T) []int {
			return []int{listener(t, unix.AF_INET, &unix.SockaddrInet4{}, true)}
		}},
		{"not listening", "not a listening TCP socket", func(t *testing.T) []int {
			return []int{listener(t, unix.AF_INET, local, false)}
		}},
		{"Unix socket", "not a listening TCP socket", func(t *testing.T) []int {
			return []int{listener(t, unix.AF_UNIX, &unix.SockaddrUnix{}, true)}
		}},
		{"file", "not a listening TCP socket", func(t *testing.T) []int {
			fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			return []int{fd}
		}},
	} {
		fds := tc.open(t)
		ours, theirs := controlPair(t)
		m, _ := json.Marshal(message{Entrances: make([]entrance, len(fds))})
		if err := unix.Sendmsg(theirs, m, unix.UnixRights(fds...), nil, 0); err != nil {
			t.Fatal(err)
		}
		closeAll(fds)
		if _, err := serveEntrances(ours, wish{}, newWorld(t).Handle, proxycore.Listening{}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: serveEntrances: %v, want an error with %q", tc.name, err, tc.want)
		}
	}
}
