// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// ip6tSoOriginalDst is IP6T_SO_ORIGINAL_DST of <linux/netfilter_ipv6/ip6_tables.h>.
const ip6tSoOriginalDst = 80

// openRedirect opens the proxy's entrance, which is the first, and one for each
// family to which the kernel redirects what is connected to captured ports. Any error means
// that this kernel cannot do it, or this process may not.
func openRedirect(w wish, ipv6 bool) (all []entrance, err error) {
	if w.Listen {
		return nil, errors.ErrUnsupported
	}
	defer func() {
		if err != nil {
			closeEntrances(all)
			all = nil
		}
	}()
	wanted := []entrance{{Kind: entranceProxy, Port: uint16(w.Port)}, {Kind: entranceRedirect}}
	if ipv6 {
		wanted = append(wanted, entrance{Kind: entranceRedirect, IPv6: true})
	}
	for _, e := range wanted {
		e, err := openEntrance(e)
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
	if err := redirect(w, all); err != nil {
		return all, fmt.Errorf("bridge: redirect connections in the sandbox: %w", err)
	}
	return all, nil
}

// redirect sets the rules that lead every connection to the redirect entrances in all, but for those
// that stay inside: to the loopback, unless w captures that port there, and to the sandbox's own
// address. Ports that the policy does not name are among them, so that what is refused is
// recorded, and a new policy may name them. The rules are of the calling thread's network namespace, and end with it. Nobody in a sandbox
// has the capability to change them.
func redirect(w wish, all []entrance) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: "sallyport"}
	// A namespace that outlives its sandbox has the rules of an earlier one. To delete
	// what is not there would do no harm but take the kernel ten milliseconds.
	if old, _ := c.ListTableOfFamily(table.Name, table.Family); old != nil {
		c.DelTable(old)
	}
	r := &ruler{conn: c, table: c.AddTable(table)}
	r.chain = c.AddChain(&nftables.Chain{
		Name: "capture", Table: r.table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest,
	})
	every := withoutPort([]proxycore.PortRange{{First: 1, Last: 65535}}, dnsPort)
	captured, err := r.ports("captured", every)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.Kind == entranceProxy { // whoever asks the proxy means the proxy
			r.add(onLoopback(false), toPort(e.Port), expr.VerdictReturn)
			continue
		}
		name, ranges := "loopback4", w.Loopback4
		if e.IPv6 {
			name, ranges = "loopback6", w.Loopback6
		}
		if len(ranges) > 0 {
			loopback, err := r.ports(name, ranges)
			if err != nil {
				return err
			}
			r.redirect(onLoopback(e.IPv6), loopback, e.Port)
		}
		r.add(onLoopback(e.IPv6), nil, expr.VerdictReturn)
		r.add(toItself(e.IPv6), nil, expr.VerdictReturn)
		r.redirect(ofFamily(e.IPv6), captured, e.Port)
	}
	return c.Flush()
}

// ruler collects the rules of a chain.
type ruler struct {
	conn  *nftables.Conn
	table *nftables.Table
	chain *nftables.Chain
}

// ports makes a set of ports and returns the expressions that match a connection to one of
// them; a set of none matches nothing.
func (r *ruler) ports(name string, ranges []proxycore.PortRange) ([]expr.Any, error) {
	set := &nftables.Set{Table: r.table, Name: name, KeyType: nftables.TypeInetService, Interval: true, Constant: true}
	var elements []nftables.SetElement
	for _, p := range ranges {
		elements = append(elements, nftables.SetElement{Key: binaryutil.BigEndian.PutUint16(p.First)})
		if p.Last < 65535 { // or else it has no end
			elements = append(elements, nftables.SetElement{Key: binaryutil.BigEndian.PutUint16(p.Last + 1), IntervalEnd: true})
		}
	}
	if err := r.conn.AddSet(set, elements); err != nil {
		return nil, err
	}
	return append(destinationPort(), &expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID}), nil
}

func (r *ruler) add(where, which []expr.Any, v expr.VerdictKind) {
	r.rule(where, which, &expr.Verdict{Kind: v})
}

func (r *ruler) redirect(where, which []expr.Any, port uint16) {
	r.rule(where, which, &expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(port)}, &expr.Redir{RegisterProtoMin: 1})
}

func (r *ruler) rule(where, which []expr.Any, do ...expr.Any) {
	var all []expr.Any
	for _, part := range [][]expr.Any{where, which, do} {
		all = append(all, part...)
	}
	r.conn.AddRule(&nftables.Rule{Table: r.table, Chain: r.chain, Exprs: all})
}

// ofFamily matches packets of IPv4 or IPv6.
func ofFamily(ipv6 bool) []expr.Any {
	family := byte(unix.NFPROTO_IPV4)
	if ipv6 {
		family = unix.NFPROTO_IPV6
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
	}
}

// onLoopback matches packets to 127.0.0.0/8 or ::1. Where the destination is in the
// header say RFC 791 section 3.1 and RFC 8200 section 3.
func onLoopback(ipv6 bool) []expr.Any {
	if ipv6 {
		return toAddress(true, net.IPv6loopback)
	}
	return toAddress(false, []byte{127})
}

// toItself matches packets to the address that a transparent sandbox has itself.
func toItself(ipv6 bool) []expr.Any {
	if ipv6 {
		return toAddress(true, ownIPv6.To16())
	}
	return toAddress(false, ownIPv4.To4())
}

// toAddress matches packets whose destination begins with want.
func toAddress(ipv6 bool, want []byte) []expr.Any {
	offset := uint32(16)
	if ipv6 {
		offset = 24
	}
	return append(ofFamily(ipv6),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: uint32(len(want))},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: want})
}

// destinationPort loads the destination port of a TCP segment, and matches nothing else.
func destinationPort() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
	}
}

func toPort(port uint16) []expr.Any {
	return append(destinationPort(), &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)})
}

// originalDestination says where a connection was going before the kernel of the namespace
// that it comes from redirected it. It asks the socket, so the caller may be in another.
func originalDestination(c net.Conn) (to netip.AddrPort, err error) {
	local, ok := c.LocalAddr().(*net.TCPAddr)
	s, ok2 := c.(syscall.Conn)
	if !ok || !ok2 {
		return to, errors.New("bridge: find out where a redirected connection was going: it is none of the kernel's")
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return to, fmt.Errorf("bridge: find out where a redirected connection was going: %w", err)
	}
	cerr := raw.Control(func(fd uintptr) {
		if local.IP.To4() != nil {
			to, err = originalIPv4(int(fd))
		} else {
			to, err = originalIPv6(int(fd))
		}
	})
	if err = errors.Join(err, cerr); err != nil {
		return netip.AddrPort{}, fmt.Errorf("bridge: find out where a redirected connection was going: %w", err)
	}
	return to, nil
}

// originalIPv4 reads a struct sockaddr_in, for which x/sys has no function: one that reads a
// little more will do, as the kernel says nothing about what it leaves.
func originalIPv4(fd int) (netip.AddrPort, error) {
	m, err := unix.GetsockoptIPv6Mreq(fd, unix.IPPROTO_IP, unix.SO_ORIGINAL_DST)
	if err != nil {
		return netip.AddrPort{}, err
	}
	sa := m.Multiaddr[:]
	if binary.NativeEndian.Uint16(sa) != unix.AF_INET {
		return netip.AddrPort{}, unix.EAFNOSUPPORT
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(sa[4:8])), binary.BigEndian.Uint16(sa[2:])), nil
}

// originalIPv6 is originalIPv4 for a struct sockaddr_in6.
func originalIPv6(fd int) (netip.AddrPort, error) {
	m, err := unix.GetsockoptIPv6MTUInfo(fd, unix.IPPROTO_IPV6, ip6tSoOriginalDst)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if m.Addr.Family != unix.AF_INET6 {
		return netip.AddrPort{}, unix.EAFNOSUPPORT
	}
	port := binary.NativeEndian.AppendUint16(nil, m.Addr.Port)
	return netip.AddrPortFrom(netip.AddrFrom16(m.Addr.Addr), binary.BigEndian.Uint16(port)), nil
}
