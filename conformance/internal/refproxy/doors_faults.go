// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

// Faults of the sandbox that open a door which is no IP network.
const (
	PathSocketsOpen  Fault = "path-sockets-open" // unix sockets can be made
	StreamsOnly      Fault = "streams-only"      // of unix sockets only streams are refused
	PairsForgotten   Fault = "pairs-forgotten"   // pairs of datagram sockets can be made, and send elsewhere
	PairsRefused     Fault = "pairs-refused"     // no socket pair can be made
	ServicesOpen     Fault = "services-open"     // unix sockets can be made where the host has an agent
	AbstractOpen     Fault = "abstract-open"     // network-kept, and unix sockets can be made
	VsockOpen        Fault = "vsock-open"        // vsock sockets can be made
	NetlinkOpen      Fault = "netlink-open"      // every netlink protocol is there
	NetlinkRefused   Fault = "netlink-refused"   // none is
	RingOpen         Fault = "ring-open"         // io_uring is there
	ForeignOpen      Fault = "foreign-open"      // system calls of other ABIs are not looked at
	KeysOpen         Fault = "keys-open"         // the keys of the host's session are there
	InterfacesOpen   Fault = "interfaces-open"   // so are bpf, userfaultfd and perf_event_open
	TerminalOpen     Fault = "terminal-open"     // the caller's terminal can be typed into
	ServiceVariables Fault = "service-variables" // variables that name services of the host are kept
	PagesServed      Fault = "pages-served"      // the proxy has pages for everybody
	MiddleLeft       Fault = "middle-left"       // the command outlives the process between it and the init
)
