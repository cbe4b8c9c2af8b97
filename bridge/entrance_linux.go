// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// Kinds of entrances: the sockets by which a sandbox reaches the proxy.
const (
	entranceProxy    = "proxy"    // TCP on 127.0.0.1: clients that ask the proxy
	entranceTCP      = "tcp"      // TCP on every address: connections to one port, wherever they go
	entranceRedirect = "redirect" // TCP on 127.0.0.1 or ::1: connections that the kernel redirects there
	entranceDNSUDP   = "dns-udp"  // UDP on every address
	entranceDNSTCP   = "dns-tcp"  // TCP on every address
)

const (
	dnsPort = 53
	// maxListeners is how many ports are captured by a socket each. More take a redirect.
	maxListeners = 64
)

// entrance is one socket of a sandbox, as the process inside announces it. The socket
// itself travels beside it, by SCM_RIGHTS.
type entrance struct {
	Kind string
	// IPv6 says that it is an IPv6 socket; on every address it takes IPv4, too.
	IPv6 bool   `json:",omitempty"`
	Port uint16 // of the socket itself; for a redirect not the one connected to

	fd int // inside: ours to close
}

// wish is what entrances the host wants a sandbox to have, and all that it takes.
type wish struct {
	// Port is where the proxy is to be on 127.0.0.1; 0 lets the kernel choose.
	Port int
	// Transparent asks for the name server, and for what is connected to one of the
	// ports in Capture at any address that is not of the loopback.
	Transparent bool                  `json:",omitempty"`
	Capture     []proxycore.PortRange `json:",omitempty"`
	// Loopback4 and Loopback6 are the ports for which the loopback's addresses are
	// captured, too. (A kernel that cannot redirect captures them for all of Capture.)
	Loopback4, Loopback6 []proxycore.PortRange `json:",omitempty"`
	// Listen says to open a listener for each port even where the kernel can redirect.
	Listen bool `json:",omitempty"`

	// untrusted is set on the host for a peer that is not a process of ours, which
	// may have checked nothing: what this kernel cannot verify is then refused.
	untrusted bool
}

// openEntrances makes the network namespace of the calling thread lead to the
// sockets that w asks for, and opens them. For a transparent sandbox it needs CAP_NET_ADMIN
// there and, for ports below 1024, CAP_NET_BIND_SERVICE. On an error nothing is left open.
// The first entrance is the proxy's.
//
// Captured ports are redirected to one socket, so that programs inside can listen on
// them. Where the kernel cannot do that, a socket each takes them.
func openEntrances(w wish) (all []entrance, err error) {
	if !w.Transparent {
		return openListeners(wish{Port: w.Port}, false)
	}
	ipv6, err := routeEverything()
	if err != nil {
		return nil, err
	}
	if all, err = openCapture(w, ipv6); err != nil {
		return nil, err
	}
	for _, kind := range []string{entranceDNSUDP, entranceDNSTCP} {
		e, err := openEntrance(entrance{Kind: kind, IPv6: ipv6, Port: dnsPort})
		if err != nil {
			closeEntrances(all)
			return nil, fmt.Errorf("%w; it is for the sandbox's name server", err)
		}
		all = append(all, e)
	}
	return all, nil
}

// openCapture opens the proxy's entrance and those for captured connections.
func openCapture(w wish, ipv6 bool) ([]entrance, error) {
	all, cannot := openRedirect(w, ipv6)
	if cannot == nil {
		return all, nil
	}
	if n := countPorts(w.Capture); n > maxListeners {
		return nil, fmt.Errorf("bridge: connections to %d ports cannot be captured: this kernel does not redirect them "+
			"(load its modules nf_tables and nft_redir), and without that the policy may name at most %d ports: %w",
			n, maxListeners, inner{cannot})
	}
	return openListeners(w, ipv6)
}

// openListeners opens the proxy's entrance and a listener for each captured port. The
// proxy's comes last, so that a port of the kernel's choice is none of the others, and
// is the first of the result.
func openListeners(w wish, ipv6 bool) (all []entrance, err error) {
	defer func() {
		if err != nil {
			closeEntrances(all)
			all = nil
		}
	}()
	for _, r := range w.Capture {
		for port := int(r.First); port <= int(r.Last); port++ {
			if port == w.Port {
				return all, fmt.Errorf("bridge: the proxy cannot have port %d in the sandbox: the policy names it, "+
					"and what is connected to it is captured: choose another port", port)
			}
			e, err := openEntrance(entrance{Kind: entranceTCP, IPv6: ipv6, Port: uint16(port)})
			if err != nil {
				return all, err
			}
			all = append(all, e)
		}
	}
	e, err := openEntrance(entrance{Kind: entranceProxy, Port: uint16(w.Port)})
	if err != nil {
		return all, err
	}
	return append([]entrance{e}, all...), nil
}

// openEntrance opens the socket that e describes, and gives it the port that it got.
func openEntrance(e entrance) (entrance, error) {
	typ, protocol, family := unix.SOCK_STREAM, unix.IPPROTO_TCP, unix.AF_INET
	if e.Kind == entranceDNSUDP {
		typ, protocol = unix.SOCK_DGRAM, unix.IPPROTO_UDP
	}
	if e.IPv6 {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC, protocol)
	if err == nil {
		e.fd = fd
		if err = e.prepare(); err == nil {
			return e, nil
		}
		unix.Close(fd)
	}
	return e, fmt.Errorf("bridge: open %s port %d in the sandbox: %w", e.Kind, e.Port, err)
}

// prepare sets up e's socket and finds out its port.
func (e *entrance) prepare() error {
	if e.IPv6 {
		if err := unix.SetsockoptInt(e.fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
			return err
		}
	}
	if err := unix.Bind(e.fd, e.address()); err != nil {
		return err
	}
	if e.Kind == entranceDNSUDP {
		return nil
	}
	if err := unix.Listen(e.fd, unix.SOMAXCONN); err != nil {
		return err
	}
	sa, err := unix.Getsockname(e.fd)
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		e.Port = uint16(sa.Port)
	case *unix.SockaddrInet6:
		e.Port = uint16(sa.Port)
	default:
		return errors.Join(err, unix.EAFNOSUPPORT)
	}
	return nil
}

// address is what e's socket is bound to.
func (e *entrance) address() unix.Sockaddr {
	loopback := e.Kind == entranceProxy || e.Kind == entranceRedirect
	switch {
	case e.IPv6 && loopback:
		return &unix.SockaddrInet6{Port: int(e.Port), Addr: [16]byte{15: 1}}
	case e.IPv6:
		return &unix.SockaddrInet6{Port: int(e.Port)}
	case loopback:
		return &unix.SockaddrInet4{Port: int(e.Port), Addr: [4]byte{127, 0, 0, 1}}
	}
	return &unix.SockaddrInet4{Port: int(e.Port)}
}

func closeEntrances(all []entrance) {
	for _, e := range all {
		unix.Close(e.fd)
	}
}
