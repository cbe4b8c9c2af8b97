// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// maxRanges bounds the port ranges of a sandbox. More are not worth telling apart.
const maxRanges = 256

// The addresses that a transparent sandbox has besides those of the loopback, and that
// its connections come from. With none, getaddrinfo(AI_ADDRCONFIG) would find no name.
// They are set aside for hosts that need an address and have none.
var (
	ownIPv4 = net.IPv4(192, 0, 0, 8)       // RFC 7600 section 4.8
	ownIPv6 = net.ParseIP("100:0:0:1::53") // RFC 9780
)

// wishes says what entrances the sandbox is to have.
func (s Sandbox) wishes(h *proxycore.Handle) (wish, error) {
	w := wish{Port: s.Port, Transparent: s.Transparent}
	if !s.Transparent {
		return w, nil
	}
	f := s.Filter
	if f == nil {
		f = h.Filter()
	}
	if f == nil {
		return w, errors.New("bridge: a transparent sandbox needs a policy that is known here, for the ports to capture, and this proxy applies " +
			"one of its own: give the sandbox a Filter, or put the built-in proxy in front, with this one as its upstream")
	}
	w.Listen = s.listen
	w.capture(f)
	return w, nil
}

// capture says what w captures: the ports whose connections f could admit, and those of them
// that it admits on the loopback. Port 53 is the name server's.
func (w *wish) capture(f *proxycore.Filter) {
	w.Capture = withoutPort(bounded(f.Ports()), dnsPort)
	if !f.AdmitsLoopback() {
		return
	}
	for _, r := range w.Capture {
		for port := int(r.First); port <= int(r.Last); port++ {
			// A connection to the address is taken for one to the name, if only that is admitted.
			name := f.Decide(proxycore.Target{Host: "localhost", Port: uint16(port)}).Allowed
			if name || f.Decide(proxycore.Target{Addr: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Port: uint16(port)}).Allowed {
				w.Loopback4 = addPort(w.Loopback4, uint16(port))
			}
			if name || f.Decide(proxycore.Target{Addr: netip.IPv6Loopback(), Port: uint16(port)}).Allowed {
				w.Loopback6 = addPort(w.Loopback6, uint16(port))
			}
		}
	}
	w.Loopback4, w.Loopback6 = bounded(w.Loopback4), bounded(w.Loopback6)
}

// bounded returns ranges, or one of all ports if they are too many: the filter judges each
// connection anyway.
func bounded(ranges []proxycore.PortRange) []proxycore.PortRange {
	if len(ranges) > maxRanges {
		return []proxycore.PortRange{{First: 1, Last: 65535}}
	}
	return ranges
}

// withoutPort takes port out of ranges.
func withoutPort(ranges []proxycore.PortRange, port uint16) (out []proxycore.PortRange) {
	for _, r := range ranges {
		if port < r.First || r.Last < port {
			out = append(out, r)
			continue
		}
		if r.First < port {
			out = append(out, proxycore.PortRange{First: r.First, Last: port - 1})
		}
		if port < r.Last {
			out = append(out, proxycore.PortRange{First: port + 1, Last: r.Last})
		}
	}
	return out
}

// addPort adds port, which is above all of ranges, to them.
func addPort(ranges []proxycore.PortRange, port uint16) []proxycore.PortRange {
	if n := len(ranges); n > 0 && ranges[n-1].Last+1 == port {
		ranges[n-1].Last = port
		return ranges
	}
	return append(ranges, proxycore.PortRange{First: port, Last: port})
}

func countPorts(ranges []proxycore.PortRange) (n int) {
	for _, r := range ranges {
		n += int(r.Last) - int(r.First) + 1
	}
	return n
}

func includesPort(ranges []proxycore.PortRange, port uint16) bool {
	for _, r := range ranges {
		if r.First <= port && port <= r.Last {
			return true
		}
	}
	return false
}

// routeEverything makes every address one of the calling thread's network namespace, so
// that nothing connected to from there leaves it, and reports whether there is IPv6.
func routeEverything() (ipv6 bool, err error) {
	const refused = "bridge: lead every address to the proxy: %w"
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return false, fmt.Errorf(refused, err)
	}
	if err := routeAll(lo, ownIPv4, 32); err != nil {
		if errors.Is(err, unix.EPERM) {
			err = fmt.Errorf("%w (it takes CAP_NET_ADMIN)", err)
		}
		return false, fmt.Errorf(refused, err)
	}
	err = routeAll(lo, ownIPv6, 128)
	if err != nil && !lacksIPv6(err) {
		return false, fmt.Errorf(refused, err)
	}
	return err == nil, nil
}

// lacksIPv6 reports whether err is the answer of a kernel without IPv6, or of one on
// whose loopback it is disabled, in which case connecting to an IPv6 address fails at once.
func lacksIPv6(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EACCES)
}

// routeAll makes own an address of lo, and all addresses of its family local ones.
// That it is so already is no error.
func routeAll(lo netlink.Link, own net.IP, bits int) error {
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: own, Mask: net.CIDRMask(bits, bits)}, Flags: unix.IFA_F_NODAD}
	if err := netlink.AddrAdd(lo, addr); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	every := &net.IPNet{IP: make(net.IP, bits/8), Mask: net.CIDRMask(0, bits)}
	err := netlink.RouteAdd(&netlink.Route{
		LinkIndex: lo.Attrs().Index, Dst: every, Src: own,
		Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST,
	})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}
