// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Descriptors that the processes on the way into a sandbox find open. The
// command finds none of them.
const (
	fdControl = 3 // SEQPACKET socket whose far end this library's user holds
	fdSelf    = 4 // O_PATH descriptor of the running program
	fdSuper   = 5 // SEQPACKET socket to the supervisor
	fdStderr  = 6 // what standard error is to be once the sandbox is entered
)

// maxMessage bounds one message on the control socket.
const maxMessage = 64 << 10

// message is what the two ends of the control socket say to each other. The
// packets are small, so a send never blocks for long.
type message struct {
	// Params goes to the process inside, by way of its supervisor.
	Params *params `json:",omitempty"`
	// Entrances comes with as many descriptors, in the same order.
	Entrances []entrance `json:",omitempty"`
	// More says that another message with Entrances follows.
	More bool `json:",omitempty"`
	// Attached answers the last of Entrances: the proxy accepts connections now.
	Attached bool `json:",omitempty"`
	// Error answers Entrances: the sandbox must not start.
	Error string `json:",omitempty"`
	// Directory goes from the supervisor to the process inside, on the socket between them.
	Directory *directory `json:",omitempty"`
	// Entered is what the process inside tells its supervisor when the sandbox is one: from then on
	// no other way to make it is tried.
	Entered bool `json:",omitempty"`
	// Ready is what the process that gets the signals and its supervisor tell
	// each other, on a socket of their own, and the supervisor the gate when it passes signals on.
	Ready bool `json:",omitempty"`
}

// params is all that the process inside must know. The command and its
// environment travel the usual way, so they have no limit but the kernel's.
type params struct {
	wish
	NetNS    string // of the host, as in readlink /proc/self/ns/net
	PIDNS    string
	CABundle string
	Java     string // proxycore.Bouquet.JavaTrustStore
	NoProxy  string // as in proxycore.Bouquet
	Terminal bool
	// Hide is what a sandbox of our own must cover; bwrap does it by itself, and init ignores it.
	Hide []cover `json:",omitempty"`
	// RuledOut is why, under Auto, the mode that is not tried is not.
	RuledOut string `json:",omitempty"`
	// Weaker and HostSockets are as in Sandbox.
	Weaker      []Door   `json:",omitempty"`
	HostSockets []string `json:",omitempty"`
	// Chdir says that the caller has chosen the working directory, which is
	// then left as it is, and Changed that it has changed the file system.
	Chdir, Changed bool
}

// socketpair returns the two ends of a new SEQPACKET socket: messages keep
// their borders, and the death of one side is an end of file on the other. They
// are no *os.File, which the garbage collector would close under who waits on its number.
func socketpair() (ours, theirs int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, fmt.Errorf("bridge: make control socket: %w", err)
	}
	return fds[0], fds[1], nil
}

// connectGate connects to the gate of that name.
func connectGate(name string) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("bridge: open the control socket: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		unix.Close(fd)
		return -1, hostGone(nil)
	}
	return fd, nil
}

// sendFDs writes m, and passes fds with it, on a blocking socket.
func sendFDs(sock int, m message, fds ...int) error {
	b, err := encode(m)
	if err != nil {
		return err
	}
	return sendPacket(sock, b, fds...)
}

// sendPacket writes b, and passes fds with it, on a blocking socket.
func sendPacket(sock int, b []byte, fds ...int) (err error) {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	for {
		err = unix.Sendmsg(sock, b, oob, nil, unix.MSG_NOSIGNAL)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// receive reads the next message from a blocking socket; io.EOF is the end.
func receive(sock int) (m message, err error) {
	b, err := receivePacket(sock)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(b, &m)
}

// receivePacket reads the next packet from a blocking socket; io.EOF is the end. It looks first how long
// that is: most are short, and a process that lives a moment need not have room for the longest.
func receivePacket(sock int) ([]byte, error) {
	var b []byte
	flags := unix.MSG_PEEK | unix.MSG_TRUNC
	for {
		n, _, err := unix.Recvfrom(sock, b, flags)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		case n == 0:
			return nil, io.EOF
		case flags != 0:
			b, flags = make([]byte, min(n, maxMessage)), 0
			continue
		}
		return b[:n], nil
	}
}

// receiveFDs is receive for the host's side: it also returns the descriptors
// that came along, which are the caller's to close, even with an error.
func receiveFDs(c *net.UnixConn) (message, []int, error) {
	b := make([]byte, maxMessage)
	n, fds, flags, err := readPacket(c, b)
	if err != nil {
		return message{}, fds, err
	}
	if n == 0 && len(fds) == 0 {
		return message{}, nil, io.EOF
	}
	if flags&(unix.MSG_CTRUNC|unix.MSG_TRUNC) != 0 {
		err = errors.Join(err, errors.New("bridge: message on the control socket was cut short"))
	}
	var m message
	return m, fds, errors.Join(err, json.Unmarshal(b[:n], &m))
}

// send writes m from the host's side.
func send(c *net.UnixConn, m message) error {
	b, err := encode(m)
	if err != nil {
		return err
	}
	_, err = c.Write(b)
	return err
}

// encode returns what to write for m.
func encode(m message) ([]byte, error) {
	b, err := json.Marshal(m)
	if err == nil && len(b) > maxMessage {
		err = fmt.Errorf("bridge: a message of %d bytes exceeds the control socket's limit of %d", len(b), maxMessage)
	}
	return b, err
}

// awaitHangup blocks until the other end of sock is closed. It reads nothing.
func awaitHangup(sock int) { awaitEvent(sock, 0) } // hang-ups are reported unasked

// awaitEvent blocks until poll(2) has something to tell about fd.
func awaitEvent(fd int, events int16) {
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: events}}
		n, err := unix.Poll(p, -1)
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// ownTask is where this thread's own things are in /proc. Those of the process, in
// /proc/self, are another thread's, which may be in other namespaces.
const ownTask = "/proc/thread-self/"

// namespace names this thread's namespace of a kind ("net", "pid") such that
// two processes are in the same one exactly when the names are equal.
func namespace(kind string) (string, error) {
	name, err := os.Readlink(ownTask + "ns/" + kind)
	if err != nil {
		return "", fmt.Errorf("bridge: find out this thread's %s namespace: %w", kind, err)
	}
	return name, nil
}
