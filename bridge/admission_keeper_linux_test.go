// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// endless is, in seconds, how long a hostile peer would have the host's close(2) take.
const endless = 600

// keepers are what a hostile peer does with the copies of its sockets that it has kept, once the
// proxy serves them.
var keepers = map[string]func(c *net.UnixConn, fd int) error{
	// What is accepted has the listener's SO_LINGER, with which close(2) waits for the peer.
	"lingering connections": func(_ *net.UnixConn, fd int) error {
		return errors.Join(lingering(fd), halfRequest(fd), isolate())
	},
	// A listener that blocks, and listens again whenever it is shut down.
	"listening again": func(_ *net.UnixConn, fd int) error {
		if err := unix.SetNonblock(fd, false); err != nil {
			return err
		}
		if err := errors.Join(halfRequest(fd), halfRequest(fd)); err != nil {
			return err
		}
		for range 2 {
			go func() {
				for {
					_ = unix.Listen(fd, 1)
				}
			}()
		}
		return nil
	},
	// Descriptors that nobody asked for, whose close(2) waits.
	// An empty packet is the end, to package net.
	"descriptors without a message":      func(c *net.UnixConn, fd int) error { return passEmpty(c, fd, fd, fd) },
	"lingering descriptors":              func(c *net.UnixConn, fd int) error { return passLingering(c, fd, 1, 1) },
	"lingering descriptors, one by one":  func(c *net.UnixConn, fd int) error { return passLingering(c, fd, 4, 1) },
	"lingering descriptors, all at once": func(c *net.UnixConn, fd int) error { return passLingering(c, fd, 1, 250) },
}

// passEmpty sends an empty packet with descriptors, into which packages syscall and unix would put something.
func passEmpty(c *net.UnixConn, fds ...int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	oob := unix.UnixRights(fds...)
	h := unix.Msghdr{Control: &oob[0]}
	h.SetControllen(len(oob))
	var e unix.Errno
	err = raw.Control(func(sock uintptr) {
		_, _, e = unix.Syscall(unix.SYS_SENDMSG, sock, uintptr(unsafe.Pointer(&h)), 0)
	})
	if e != 0 {
		return e
	}
	return err
}

func lingering(fd int) error {
	return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: endless})
}

// isolate takes the loopback down, so that nothing is acknowledged any more.
func isolate() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	return errors.Join(unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req), setDown(fd, req))
}

func setDown(fd int, req *unix.Ifreq) error {
	req.SetUint16(req.Uint16() &^ unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

// connectTo returns a socket connected to the listener fd.
func connectTo(fd int) (int, error) {
	c := socketOf(unix.AF_INET, unix.SOCK_STREAM, 0, nil, false)
	return c, unix.Connect(c, &unix.SockaddrInet4{Addr: local, Port: int(portOf(fd))})
}

func halfRequest(fd int) error {
	c, err := connectTo(fd)
	if err == nil {
		_, err = unix.Write(c, []byte("CONNECT "))
	}
	return err
}

// passLingering passes connections that have something to send to who does not listen, in so many messages.
func passLingering(c *net.UnixConn, fd, messages, each int) error {
	var all [][]int
	for range messages {
		var fds []int
		for range each {
			conn, err := connectTo(fd)
			if err := errors.Join(err, lingering(conn)); err != nil {
				return err
			}
			fds = append(fds, conn)
		}
		all = append(all, fds)
	}
	if err := isolate(); err != nil {
		return err
	}
	for _, fds := range all {
		for _, fd := range fds {
			if _, err := unix.Write(fd, []byte("CONNECT ")); err != nil {
				return err
			}
		}
		err := announce(c, message{}, fds...)
		switch {
		case err == nil:
			closeAll(fds)
		case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EPIPE):
			closeForeign(fds) // refused before it came to these, which are this process's alone: it would wait itself
		default:
			return err
		}
	}
	return nil
}

// keeper attaches by the control socket, does what is named, and stays until its input ends.
func keeper(socket, name string) error {
	if _, err := loopback(true); err != nil {
		return err
	}
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket, Net: "unixpacket"})
	if err != nil {
		return err
	}
	if _, err := c.Write([]byte(`{"Attach":1}`)); err != nil {
		return err
	}
	fd := socketOf(unix.AF_INET, unix.SOCK_STREAM, 0, &unix.SockaddrInet4{Addr: local}, false)
	if err := unix.Listen(fd, 512); err != nil {
		return err
	}
	if _, _, err := receiveFDs(c); err != nil {
		return err
	}
	if err := asProxy(c, fd); err != nil {
		return err
	}
	if m, _, err := receiveFDs(c); err != nil || !m.Attached {
		return fmt.Errorf("attach: %+v, %w", m, err)
	}
	if err := keepers[name](c, fd); err != nil {
		return err
	}
	fmt.Println("up")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// Whatever a container does with what it shares with the proxy, the proxy can end.
func TestAdmissionEndsWhatPeersKeep(t *testing.T) {
	for name := range keepers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			in := w.control(t, Admission{})
			cmd := container(t, "keeper", in.Path(), name)
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer stdin.Close()
			if line, err := bufio.NewReader(stdout).ReadString('\n'); strings.TrimSpace(line) != "up" {
				t.Fatalf("the peer says %q, %v", line, err)
			}
			closed := make(chan error, 1)
			go func() { closed <- in.Close() }()
			select {
			case err := <-closed:
				if err != nil {
					t.Errorf("Close: %v", err)
				}
			case <-time.After(patience):
				t.Log("Close waits for what the peer does not give it")
				os.Exit(1) // every cleanup would wait, too
			}
		})
	}
}
