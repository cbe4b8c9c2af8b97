// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
)

func transparentQueries() []check.Check {
	return []check.Check{
		{ID: "TRANSPARENT-005.udp", Summary: "whatever resolver is asked over UDP, the sandbox's own answers and nobody else", Run: resolvers("udp")},
		{ID: "TRANSPARENT-005.tcp", Summary: "whatever resolver is asked over TCP, the sandbox's own answers and nobody else", Run: resolvers("tcp")},
		{ID: "TRANSPARENT-006.types", Summary: "no query of any type leaves, for allowed names and others", Run: everyType},
		{ID: "TRANSPARENT-006.malformed", Summary: "nor does a message that is no query; the next one is answered all the same", Run: malformedQueries},
		{ID: "TRANSPARENT-006.lookup-alone", Summary: "an allowed name that is only looked up is resolved by nobody", Run: lookupAlone},
		{ID: "TRANSPARENT-007.empty", Summary: "an allowed name has addresses and nothing else", Run: otherTypes},
		{ID: "TRANSPARENT-008.question", Summary: "an answer has the question as it was asked, in its case, and says that it is one", Run: questionKept},
		{ID: "TRANSPARENT-008.edns", Summary: "an answer has an OPT record where the query has one, and none where it has none", Run: edns},
	}
}

// deniedHosts are names that no policy of these checks admits; all of them have an address outside.
var deniedHosts = []string{
	"denied.example.net", "sub.allowed.example.com", "evilallowed.example.com", "example.com", "metadata.google.internal",
	"allowed.example.com.evil.example.net", "carried-out.denied.example.net",
}

func deniedQueries(edns bool) []probe.Action {
	out := []probe.Action{}
	for _, host := range deniedHosts {
		for _, kind := range []uint16{probe.TypeA, probe.TypeAAAA, typeHTTPS} {
			a := asking(host, kind)
			a.Ask.EDNS = edns
			out = append(out, a)
		}
	}
	return out
}

func deniedNames(x *check.X) {
	w := past(x, x.Transparent("core"), deniedQueries(false)...)
	w.each(x, oracle.Sandbox, func(r probe.Result) string {
		switch {
		case !r.Done:
			return "no answer: " + r.End
		case r.Reply.Answers > 0:
			return fmt.Sprintf("%d records, addresses %v", r.Reply.Answers, r.Reply.Addrs)
		}
		return ""
	})
}

func deniedUnasked(x *check.X) { past(x, x.Transparent("core"), deniedQueries(false)...).contained(x) }

const (
	codeNone, codeNotFound = 0, 3
	extendedBlocked        = 15 // RFC 8914, section 4.16
)

func deniedCode(x *check.X) {
	past(x, x.Transparent("core"), deniedQueries(true)...).each(x, oracle.Sandbox, func(r probe.Result) string {
		if !r.Done || r.Reply.RCode != codeNotFound {
			return "want NXDOMAIN"
		}
		return ""
	})
}

func deniedReason(x *check.X) {
	past(x, x.Transparent("core"), deniedQueries(true)...).each(x, oracle.Sandbox, func(r probe.Result) string {
		if !r.Done || len(r.Reply.Extended) != 1 || r.Reply.Extended[0] != extendedBlocked {
			return "want the extended error 15, Blocked"
		}
		return ""
	})
}

// resolvers asks the best-known resolvers there are, private ones, the host's own and ones that cannot be.
func resolvers(network string) func(*check.X) {
	return func(x *check.X) {
		actions := []probe.Action{}
		for _, at := range []string{
			"", "8.8.8.8:53", "1.1.1.1:53", "10.1.2.3:53", "169.254.169.254:53", "127.0.0.53:53", "93.184.215.14:53",
			"[2001:4860:4860::8888]:53", "[fd12:3456::1]:53", "[::1]:53",
		} {
			for _, host := range []string{check.AllowedHost, "denied.example.net"} {
				a := asking(host, probe.TypeA)
				a.Network, a.Address = network, at
				actions = append(actions, a)
			}
		}
		w := past(x, x.Transparent("core"), actions...)
		w.each(x, oracle.Sandbox, func(r probe.Result) string {
			switch allowed := r.Action.Ask.Name == check.AllowedHost; {
			case !r.Done:
				return "no answer: " + r.End + " " + r.Detail
			case allowed && len(r.Reply.Addrs) != 1:
				return "no address"
			case !allowed && r.Reply.Answers > 0:
				return "an address"
			}
			return ""
		})
		w.contained(x)
	}
}

// everyType asks for all types there are names for, some there are not, and for names that carry something out.
func everyType(x *check.X) {
	actions := []probe.Action{}
	for _, kind := range []uint16{
		probe.TypeA, probe.TypeAAAA, typeNS, typeCNAME, typeSOA, typePTR, typeMX, typeTXT, typeSRV, typeSVCB, typeHTTPS, typeAXFR, typeANY,
		10, 13, 29, 35, 43, 48, 99, 250, 251, 257, 32769, 65280, 65535,
	} {
		for _, host := range []string{check.AllowedHost, "denied.example.net", "c2VjcmV0.allowed.example.com", "c2VjcmV0.denied.example.net"} {
			actions = append(actions, asking(host, kind))
		}
	}
	actions = append(actions,
		asking("14.215.184.93.in-addr.arpa", typePTR), asking("3.2.1.10.in-addr.arpa", typePTR), asking("_dns.resolver.arpa", typeSVCB),
		asking(strings.Repeat("a", 63)+".allowed.example.com", probe.TypeA), asking("com", typeNS))
	w := past(x, x.Transparent("core"), actions...)
	w.each(x, oracle.Sandbox, func(r probe.Result) string {
		if !r.Done {
			return "no answer: " + r.End
		}
		return ""
	})
	w.contained(x)
}

// malformedQueries are messages nobody has to answer. Behind each comes a query that has to be.
func malformedQueries(x *check.X) {
	actions := []probe.Action{}
	for _, raw := range malformed() {
		for _, network := range []string{"udp", "tcp"} {
			a := asking(check.AllowedHost, probe.TypeA)
			a.Network, a.Ask.Raw = network, []byte(raw)
			actions = append(actions, a)
		}
	}
	w := past(x, x.Transparent("core"), actions...)
	w.each(x, oracle.Sandbox, answeredBehind)
	w.contained(x)
}

// answeredBehind is the judgement of the query behind a malformed one.
func answeredBehind(r probe.Result) string {
	raw := r.Action.Ask.Raw
	switch {
	case !r.Done || len(r.Reply.Addrs) != 1:
		return fmt.Sprintf("the query behind %.40q: %s %s", raw, r.End, r.Detail)
	case len(raw) > 12 && raw[2] == 0x81 && len(r.Reply.Strays) > 0:
		return fmt.Sprintf("an answer to %.40q, which is a response", raw)
	}
	return ""
}

// malformed are the messages.
func malformed() []string {
	const head = "\x5a\x5a\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	const tail = "\x00\x00\x01\x00\x01"
	const name = "\x07allowed\x07example\x03com"
	return []string{
		"x", head[:11], head, head + name, head + name + tail[:3],
		head + "\x3fallowed" + tail,                                                                              // a label longer than the message
		head + "\xc0\x0c\x00\x01\x00\x01",                                                                        // a name that points at itself
		head + "\xc0\xff\x00\x01\x00\x01",                                                                        // and behind the end
		head + "\x47" + strings.Repeat("a", 71) + tail,                                                           // a label of 71 bytes
		head + strings.Repeat("\x3f"+strings.Repeat("a", 63), 5) + tail,                                          // a name of 320
		head + "\x13allowed.example.com" + tail,                                                                  // one label with dots
		head + "\x08allowed\x00\x07example\x03com" + tail,                                                        // a label with NUL
		"\x5a\x5a\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00" + name + tail,                                         // a response
		"\x5a\x5a\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00",                                                       // no question
		"\x5a\x5a\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00" + name + tail + "\x06denied\x07example\x03net" + tail, // two
		"\x5a\x5a\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff" + name + tail,                                         // more than there are
		"\x5a\x5a\x28\x00\x00\x01\x00\x00\x00\x00\x00\x00" + name + "\x00\x00\x06\x00\x01",                       // an update
		"\x5a\x5a\x20\x00\x00\x01\x00\x00\x00\x00\x00\x00" + name + "\x00\x00\x06\x00\x01",                       // a notification
		head + name + "\x00\x00\x01\x00\x03",                                                                     // class CH
		head + "\x07version\x04bind\x00\x00\x10\x00\x03",
		head + "\x00\x00\x02\x00\x01", // the root
		strings.Repeat("\xff", 600),
	}
}

// lookupAlone asks for allowed names and does not connect.
func lookupAlone(x *check.X) {
	w := past(x, x.Transparent("core"), asking(check.AllowedHost, probe.TypeA), asking(check.AllowedHost, probe.TypeAAAA),
		asking("six.example.com", probe.TypeA), asking("my_svc.example.com", probe.TypeAAAA))
	w.each(x, oracle.Sandbox, func(r probe.Result) string {
		if !r.Done || len(r.Reply.Addrs) != 1 {
			return "no address: " + r.End
		}
		return ""
	})
	w.contained(x)
}

func otherTypes(x *check.X) {
	actions := []probe.Action{}
	for _, kind := range []uint16{typeHTTPS, typeSVCB, typeTXT, typeMX, typeSRV, typeCNAME, 65280} {
		actions = append(actions, asking(check.AllowedHost, kind))
	}
	past(x, x.Transparent("core"), actions...).each(x, oracle.Sandbox, func(r probe.Result) string {
		if !r.Done || r.Reply.RCode != codeNone || r.Reply.Answers > 0 {
			return "want an answer without error and without records"
		}
		return ""
	})
}

func questionKept(x *check.X) {
	actions := []probe.Action{}
	for _, network := range []string{"udp", "tcp"} {
		for _, host := range []string{check.AllowedHost, "aLLowed.eXample.COM", "DENIED.example.net"} {
			for _, kind := range []uint16{probe.TypeA, probe.TypeAAAA, typeHTTPS} {
				a := asking(host, kind)
				a.Network = network
				actions = append(actions, a)
			}
		}
	}
	past(x, x.Transparent("core"), actions...).each(x, oracle.Sandbox, func(r probe.Result) string {
		switch {
		case !r.Done:
			return "no answer: " + r.End
		case !r.Reply.Response || !r.Reply.Available:
			return "the flags do not say that it is a response, and that recursion is available"
		case !r.Reply.Question:
			return "the question is not the one that was asked"
		case r.Reply.Truncated:
			return "it is truncated"
		}
		return ""
	})
}

func edns(x *check.X) {
	actions := []probe.Action{}
	for _, host := range []string{check.AllowedHost, "denied.example.net"} {
		with, without := asking(host, probe.TypeA), asking(host, probe.TypeA)
		with.Ask.EDNS = true
		actions = append(actions, with, without)
	}
	past(x, x.Transparent("core"), actions...).each(x, oracle.Sandbox, func(r probe.Result) string {
		want := 0
		if r.Action.Ask.EDNS {
			want = 1
		}
		if !r.Done || r.Reply.OPT != want {
			return fmt.Sprintf("want %d OPT records", want)
		}
		return ""
	})
}
