// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// Kinds of entrances: the sockets by which a sandbox reaches the proxy.
const (
	entranceProxy    = "proxy"    // TCP on 127.0.0.1: clients that ask the proxy
	entranceTCP      = "tcp"      // TCP on every address: connections to one port, wherever they go
	entranceRedirect = "redirect" // TCP on a loopback address: connections that the kernel redirects there
	entranceDNSUDP   = "dns-udp"  // UDP port 53 on every address
	entranceDNSTCP   = "dns-tcp"  // TCP port 53 on every address
)

// entrance is one socket of a sandbox, as the process inside announces it. The socket
// itself travels beside it, by SCM_RIGHTS.
type entrance struct {
	Kind string
	// IPv6 says that it is an IPv6 socket; on every address it takes IPv4, too.
	IPv6 bool   `json:",omitempty"`
	Port uint16 // of the socket; for the redirect not the one connected to

	fd int // inside: ours to close
}

// wish is what entrances the host wants a sandbox to have, and all that it takes.
type wish struct {
	// Port is where the proxy is to be on 127.0.0.1; 0 lets the kernel choose.
	Port int
	// Transparent asks for the name server and for the ports in Capture.
	Transparent bool                  `json:",omitempty"`
	Capture     []proxycore.PortRange `json:",omitempty"`

	// untrusted is set on the host for a peer that is not a process of ours, which
	// has checked nothing: what this kernel cannot verify is then refused.
	untrusted bool
}

// openEntrances makes the network namespace of the calling thread lead to the
// sockets that w asks for, and opens them. It needs CAP_NET_ADMIN there for
// a transparent one, and CAP_NET_BIND_SERVICE for ports below 1024; on an error nothing is left open.
// The first entrance is the proxy's.
func openEntrances(w wish) ([]entrance, error) {
	e, err := openProxyEntrance(w.Port)
	if err != nil {
		return nil, err
	}
	return []entrance{e}, nil
}

// passEntrances sends all to the other end of sock, in as many messages as it takes, and
// closes them, also on an error.
func passEntrances(sock int, all []entrance) error {
	for i, e := range all {
		if err := sendFD(sock, message{Entrances: []entrance{e}, More: i < len(all)-1}, e.fd); err != nil {
			return hostGone(err)
		}
	}
	closeEntrances(all)
	return nil
}

// openProxyEntrance listens on 127.0.0.1.
func openProxyEntrance(port int) (entrance, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return entrance{}, fmt.Errorf("bridge: open a listener in the sandbox: %w", err)
	}
	err = unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	if err != nil {
		unix.Close(fd)
		return entrance{}, fmt.Errorf("bridge: bind 127.0.0.1:%d in the sandbox: %w", port, err)
	}
	if err := unix.Listen(fd, unix.SOMAXCONN); err != nil {
		unix.Close(fd)
		return entrance{}, fmt.Errorf("bridge: listen in the sandbox: %w", err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		unix.Close(fd)
		return entrance{}, fmt.Errorf("bridge: find out the port of the sandbox's listener: %w", err)
	}
	return entrance{Kind: entranceProxy, Port: uint16(sa.(*unix.SockaddrInet4).Port), fd: fd}, nil
}

func closeEntrances(all []entrance) {
	for _, e := range all {
		unix.Close(e.fd)
	}
}

// serveEntrances takes from the other end of c the entrances that w admits, checks them
// like anything from inside, and serves them through h. The caller answers the peer.
// A transparent sandbox needs a proxy that can do that ([proxycore.Handle.Capture]).
func serveEntrances(c *net.UnixConn, w wish, h *proxycore.Handle, o proxycore.Listening) (detach func(), err error) {
	m, fds, err := receiveFDs(c)
	if err != nil {
		closeAll(fds)
		return nil, err
	}
	if len(fds) != 1 || len(m.Entrances) != 1 || m.More {
		closeAll(fds)
		return nil, fmt.Errorf("bridge: sandbox passed %d descriptors instead of one listener", len(fds))
	}
	f := os.NewFile(uintptr(fds[0]), "sandbox listener")
	defer f.Close() // FileListener duplicates it
	if err := checkListener(fds[0]); err != nil {
		return nil, err
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("bridge: use the sandbox's listener: %w", err)
	}
	detach, err = h.Attach(l, o)
	if err != nil { // and l is closed
		return nil, fmt.Errorf("bridge: attach the sandbox to the proxy: %w", err)
	}
	return detach, nil
}
