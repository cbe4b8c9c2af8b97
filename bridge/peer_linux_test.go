// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// passed is a message from inside and what comes along.
type passed struct {
	message
	fds []int
}

// announced is what a well-behaved process inside passes.
func announced(all ...entrance) passed {
	p := passed{message: message{Entrances: all}}
	for _, e := range all {
		p.fds = append(p.fds, e.fd)
	}
	return p
}

// must opens the socket that e describes.
func must(e entrance) entrance {
	e, err := openEntrance(e)
	if err != nil {
		panic(err)
	}
	return e
}

// odd opens a socket that is bound, and listens, as its arguments say.
func odd(family, typ int, sa unix.Sockaddr, listen bool) int {
	fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC, 0)
	if err == nil && sa != nil {
		err = unix.Bind(fd, sa)
	}
	if err == nil && listen {
		err = unix.Listen(fd, 1)
	}
	if err != nil {
		panic(err)
	}
	return fd
}

var (
	port443   = []proxycore.PortRange{{First: 443, Last: 443}}
	many      = []proxycore.PortRange{{First: 1000, Last: 2000}}
	capturing = wish{Transparent: true, Capture: port443}
)

// A peer is what may be at the other end of a control socket. One of no wish asks for
// the proxy only; one of no error is served.
type peer struct {
	name, want string
	wish       wish
	open       func() []passed // in a network namespace of its own
}

// proxyAt is the entrance of kind proxy, whatever fd is.
func proxyAt(fd int) []passed {
	return []passed{announced(entrance{Kind: entranceProxy, Port: 3128, fd: fd})}
}

// thenProxy is what is in all, and the proxy's entrance.
func thenProxy(all ...entrance) []passed {
	return []passed{announced(append([]entrance{must(entrance{Kind: entranceProxy})}, all...)...)}
}

var local3128 = &unix.SockaddrInet4{Port: 3128, Addr: [4]byte{127, 0, 0, 1}}

// peers are all the peers by what they pass.
func peers() []peer {
	other := func(kind string) entrance { return entrance{Kind: kind, IPv6: true, Port: 443} }
	wrong := func(e entrance, fd int) entrance { e.fd = fd; return e }
	return []peer{
		{"proxy", "", wish{}, func() []passed { return thenProxy() }},
		{"all", "", capturing, func() []passed {
			return thenProxy(must(other(entranceTCP)), must(entrance{Kind: entranceDNSUDP, IPv6: true, Port: 53}),
				must(entrance{Kind: entranceDNSTCP, IPv6: true, Port: 53}))
		}},
		{"redirects", "", wish{Transparent: true, Capture: many}, func() []passed {
			return thenProxy(must(entrance{Kind: entranceRedirect}), must(entrance{Kind: entranceRedirect, IPv6: true}))
		}},
		{"in parts", "", capturing, func() []passed {
			first := announced(must(other(entranceTCP)))
			first.More = true
			return append([]passed{first}, thenProxy()...)
		}},
		{"nothing", "passed 0 descriptors for 0 sockets", wish{}, func() []passed { return []passed{{}} }},
		{"nothing to it", "passed 0 descriptors for 1 sockets", wish{}, func() []passed {
			p := thenProxy()
			p[0].fds = nil
			return p
		}},
		{"one too many", "passed 2 descriptors for 1 sockets", wish{}, func() []passed {
			p := thenProxy()
			p[0].fds = append(p[0].fds, must(entrance{Kind: entranceProxy}).fd)
			return p
		}},
		{"two proxies", "was passed before", wish{}, func() []passed { return thenProxy(must(entrance{Kind: entranceProxy})) }},
		{"no proxy", "no listener for the proxy", capturing, func() []passed { return []passed{announced(must(other(entranceTCP)))} }},
		{"no end", "EOF", capturing, func() []passed {
			p := thenProxy()
			p[0].More = true
			return p
		}},
		{"other address", "another address or port", wish{}, func() []passed {
			return proxyAt(odd(unix.AF_INET, unix.SOCK_STREAM, &unix.SockaddrInet4{Port: 3128}, true))
		}},
		{"other port", "another address or port", wish{}, func() []passed {
			return proxyAt(odd(unix.AF_INET, unix.SOCK_STREAM, &unix.SockaddrInet4{Port: 3129, Addr: [4]byte{127, 0, 0, 1}}, true))
		}},
		{"other port than asked", "nobody asked for", wish{Port: 8080}, func() []passed { return thenProxy() }},
		{"not listening", "does not listen", wish{}, func() []passed { return proxyAt(odd(unix.AF_INET, unix.SOCK_STREAM, local3128, false)) }},
		{"datagrams", "another kind", wish{}, func() []passed { return proxyAt(odd(unix.AF_INET, unix.SOCK_DGRAM, local3128, false)) }},
		{"Unix socket", "another kind", wish{}, func() []passed {
			return proxyAt(odd(unix.AF_UNIX, unix.SOCK_STREAM, &unix.SockaddrUnix{Name: "@sallyport-test-peer"}, true))
		}},
		{"file", "another kind", wish{}, func() []passed {
			fd, _ := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			return proxyAt(fd)
		}},
		{"IPv6 for IPv4", "another kind", capturing, func() []passed {
			return thenProxy(wrong(entrance{Kind: entranceTCP, Port: 443}, must(other(entranceTCP)).fd))
		}},
		{"transparent unasked", "nobody asked for", wish{Capture: port443}, func() []passed { return thenProxy(must(other(entranceTCP))) }},
		{"name server unasked", "nobody asked for", wish{}, func() []passed { return thenProxy(must(entrance{Kind: entranceDNSUDP, Port: 53})) }},
		{"redirect unasked", "nobody asked for", wish{Capture: port443}, func() []passed { return thenProxy(must(entrance{Kind: entranceRedirect})) }},
		{"port unasked", "nobody asked for", capturing, func() []passed {
			return thenProxy(must(entrance{Kind: entranceTCP, IPv6: true, Port: 444}))
		}},
		{"other name server", "nobody asked for", capturing, func() []passed { return thenProxy(must(entrance{Kind: entranceDNSUDP, Port: 54})) }},
		{"unknown kind", `"telnet", port 443, that nobody asked for`, capturing, func() []passed {
			return thenProxy(wrong(other("telnet"), must(other(entranceTCP)).fd))
		}},
		{"same port twice", "was passed before", capturing, func() []passed {
			e := must(other(entranceTCP))
			return thenProxy(e, e)
		}},
		{"two ways", "another way", capturing, func() []passed { return thenProxy(must(other(entranceTCP)), must(entrance{Kind: entranceRedirect})) }},
		{"connected name server", "another address or port", capturing, func() []passed {
			e := must(entrance{Kind: entranceDNSUDP, Port: 53})
			if err := unix.Connect(e.fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
				panic(err)
			}
			return thenProxy(e)
		}},
		{"crowd", fmt.Sprintf("more than %d", maxEntrances), wish{Transparent: true, Capture: many}, func() (all []passed) {
			for i := range 4 {
				var batch []entrance
				for port := range 32 {
					batch = append(batch, must(entrance{Kind: entranceTCP, Port: uint16(1000 + 32*i + port)}))
				}
				p := announced(batch...)
				p.More = true
				all = append(all, p)
			}
			return all
		}},
		{"too many at once", "at once", wish{Transparent: true, Capture: many}, func() []passed {
			var batch []entrance
			for port := range maxPassed + 1 {
				batch = append(batch, must(entrance{Kind: entranceTCP, Port: uint16(1000 + port)}))
			}
			return []passed{announced(batch...)}
		}},
	}
}

// actPeer is the process of a peer.
func actPeer(name string) error {
	if _, err := loopback(true); err != nil {
		return err
	}
	for _, p := range peers() {
		if p.name != name {
			continue
		}
		for _, m := range p.open() {
			if err := sendFDs(fdControl, m.message, m.fds...); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("no such peer")
}
