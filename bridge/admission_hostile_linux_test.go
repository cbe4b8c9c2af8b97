// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// attack is what a hostile peer sends instead of its sockets.
type attack struct {
	name string
	want string // in the proxy's answer; "" is none at all, "attached" is success
	send func(c *net.UnixConn) error
}

// socketOf makes a socket in this network namespace, as an announcement says it or not.
func socketOf(family, typ, protocol int, at unix.Sockaddr, listen bool) (fd int) {
	fd, err := unix.Socket(family, typ, protocol)
	if err == nil && at != nil {
		err = unix.Bind(fd, at)
	}
	if err == nil && listen {
		err = unix.Listen(fd, 1)
	}
	if err != nil {
		panic(err)
	}
	return fd
}

func tcpAt(addr [4]byte, listen bool) int {
	return socketOf(unix.AF_INET, unix.SOCK_STREAM, 0, &unix.SockaddrInet4{Addr: addr}, listen)
}

func portOf(fd int) uint16 {
	sa, err := unix.Getsockname(fd)
	if in, ok := sa.(*unix.SockaddrInet4); err == nil && ok {
		return uint16(in.Port)
	}
	return 0
}

// announce sends the message with the descriptors.
func announce(c *net.UnixConn, m message, fds ...int) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, _, err = c.WriteMsgUnix(b, unix.UnixRights(fds...), nil)
	return err
}

// asProxy announces the socket as the one of the proxy.
func asProxy(c *net.UnixConn, fd int) error {
	return announce(c, message{Entrances: []entrance{{Kind: entranceProxy, Port: portOf(fd)}}}, fd)
}

var local = [4]byte{127, 0, 0, 1}

var attacks = []attack{
	{"honest", "attached", func(c *net.UnixConn) error { return asProxy(c, tcpAt(local, true)) }},
	{"talks on", "attached, and let go: <nil> true", func(c *net.UnixConn) error { return asProxy(c, tcpAt(local, true)) }},
	{"no listener", "bridge: ", func(c *net.UnixConn) error { return asProxy(c, tcpAt(local, false)) }},
	{"all addresses", "bridge: ", func(c *net.UnixConn) error { return asProxy(c, tcpAt([4]byte{}, true)) }},
	{"another port", "bridge: ", func(c *net.UnixConn) error {
		fd := tcpAt(local, true)
		return announce(c, message{Entrances: []entrance{{Kind: entranceProxy, Port: portOf(fd) ^ 1}}}, fd)
	}},
	{"UDP", "bridge: ", func(c *net.UnixConn) error {
		return asProxy(c, socketOf(unix.AF_INET, unix.SOCK_DGRAM, 0, &unix.SockaddrInet4{Addr: local}, false))
	}},
	{"name server not asked for", "bridge: ", func(c *net.UnixConn) error {
		fd, dns := tcpAt(local, true), socketOf(unix.AF_INET, unix.SOCK_DGRAM, 0, &unix.SockaddrInet4{Port: 53}, false)
		return announce(c, message{Entrances: []entrance{
			{Kind: entranceProxy, Port: portOf(fd)}, {Kind: entranceDNSUDP, Port: 53},
		}}, fd, dns)
	}},
	{"capture not asked for", "bridge: ", func(c *net.UnixConn) error {
		fd, tcp := tcpAt(local, true), socketOf(unix.AF_INET, unix.SOCK_STREAM, 0, &unix.SockaddrInet4{Port: 443}, true)
		return announce(c, message{Entrances: []entrance{
			{Kind: entranceProxy, Port: portOf(fd)}, {Kind: entranceTCP, Port: 443},
		}}, fd, tcp)
	}},
	{"Unix socket", "bridge: ", func(c *net.UnixConn) error {
		return asProxy(c, socketOf(unix.AF_UNIX, unix.SOCK_STREAM, 0, &unix.SockaddrUnix{Name: "@x"}, true))
	}},
	{"raw socket", "bridge: ", func(c *net.UnixConn) error {
		return asProxy(c, socketOf(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP, nil, false))
	}},
	{"netlink", "bridge: ", func(c *net.UnixConn) error {
		return asProxy(c, socketOf(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE, nil, false))
	}},
	{"file", "bridge: ", func(c *net.UnixConn) error {
		fd, err := unix.Open("/dev/null", unix.O_RDWR, 0)
		if err != nil {
			return err
		}
		return asProxy(c, fd)
	}},
	{"no descriptor", "bridge: ", func(c *net.UnixConn) error {
		return announce(c, message{Entrances: []entrance{{Kind: entranceProxy, Port: 1}}})
	}},
	{"descriptor not announced", "bridge: ", func(c *net.UnixConn) error {
		fd := tcpAt(local, true)
		return announce(c, message{Entrances: []entrance{{Kind: entranceProxy, Port: portOf(fd)}}}, fd, tcpAt(local, true))
	}},
	{"no entrances", "bridge: ", func(c *net.UnixConn) error { return announce(c, message{}) }},
	{"many descriptors", "bridge: ", func(c *net.UnixConn) error {
		fd := tcpAt(local, true)
		fds := make([]int, 250)
		all := make([]entrance, len(fds))
		for i := range fds {
			fds[i], all[i] = fd, entrance{Kind: entranceProxy, Port: portOf(fd)}
		}
		return announce(c, message{Entrances: all}, fds...)
	}},
	{"no end of sockets", "bridge: ", func(c *net.UnixConn) error {
		fd := tcpAt(local, true)
		for {
			if err := announce(c, message{Entrances: []entrance{{Kind: entranceProxy, Port: portOf(fd)}}, More: true}, fd); err != nil {
				return nil
			}
		}
	}},
	{"no JSON", "bridge: ", func(c *net.UnixConn) error { _, err := c.Write([]byte("GET / HTTP/1.1")); return err }},
	{"oversized", "bridge: ", func(c *net.UnixConn) error {
		_, err := c.Write([]byte(`{"Error":"` + strings.Repeat("x", maxMessage) + `"}`))
		return err
	}},
	{"answers instead", "bridge: ", func(c *net.UnixConn) error { return announce(c, message{Attached: true}) }},
	{"silence", "bridge: ", func(c *net.UnixConn) error { return nil }},
	{"hang-up", "", func(c *net.UnixConn) error { return c.Close() }},
}

// hostilePeer attaches by the control socket, with what the named attack sends for sockets, and
// prints the answer.
func hostilePeer(socket, name string) error {
	if _, err := loopback(true); err != nil {
		return err
	}
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: socket, Net: "unixpacket"})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(deadline()); err != nil {
		return err
	}
	if _, err := c.Write([]byte(`{"Attach":1}`)); err != nil {
		return err
	}
	if m, fds, err := receiveFDs(c); err != nil || len(fds) > 0 || m.Params == nil {
		return fmt.Errorf("the proxy's offer is %+v, %v, %v", m, fds, err)
	}
	for _, a := range attacks {
		if a.name != name {
			continue
		}
		if err := a.send(c); err != nil {
			return err
		}
		m, _, err := receiveFDs(c)
		if errors.Is(err, unix.ECONNRESET) { // it has closed before it had read all
			m, _, err = receiveFDs(c)
		}
		switch {
		case err != nil:
			fmt.Println("no answer")
		case m.Attached && name == "talks on":
			_, werr := c.Write([]byte("{}"))
			_, _, err := receiveFDs(c)
			fmt.Println("attached, and let go:", werr, errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET))
		case m.Attached:
			fmt.Println("attached")
		default:
			fmt.Println(m.Error)
		}
	}
	return nil
}

// What is no listening TCP socket of the peer's own namespace is refused, whatever it is, and
// leaves nothing behind: TestMain counts descriptors.
func TestAdmissionRefusesSockets(t *testing.T) {
	w := newWorld(t)
	in := w.impatient(t, Admission{}, time.Second)
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			got := output(t, container(t, "peer", in.Path(), a.name), 0)
			want := a.want
			if want == "" {
				want = "no answer"
			}
			if !strings.Contains(got, want) || !strings.HasPrefix(a.want, "attached") && strings.Contains(got, "attached") {
				t.Errorf("the proxy answers %q, want %q in it", got, want)
			}
			in.sandboxes(t, 0)
		})
	}
}
