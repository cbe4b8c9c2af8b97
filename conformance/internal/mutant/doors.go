// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"slices"

	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	. "github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
)

// doorMutants open what is no IP network.
func doorMutants() []Mutant {
	return slices.Concat(rows(doors,
		Mutant{Fault: PathSocketsOpen, Check: "SANDBOX-023.stream", Kind: oracle.Sandbox},
		Mutant{Fault: PathSocketsOpen, Check: "SANDBOX-011.sockets", Kind: oracle.Sandbox},
		Mutant{Fault: StreamsOnly, Check: "SANDBOX-023.seqpacket", Kind: oracle.Sandbox},
		Mutant{Fault: StreamsOnly, Check: "SANDBOX-023.datagram", Kind: oracle.Sandbox},
		Mutant{Fault: PairsForgotten, Check: "SANDBOX-023.pair", Kind: oracle.Sandbox},
		Mutant{Fault: PairsRefused, Check: "SANDBOX-024.pair", Kind: oracle.Sandbox},
		Mutant{Fault: ServicesOpen, Check: "SANDBOX-025.named", Kind: oracle.Sandbox},
		Mutant{Fault: VsockOpen, Check: "SANDBOX-026.vsock", Kind: oracle.Sandbox},
		Mutant{Fault: CapabilitiesKept, Check: "SANDBOX-027.families", Kind: oracle.Sandbox},
		Mutant{Fault: NetlinkOpen, Check: "SANDBOX-028.protocols", Kind: oracle.Sandbox},
		Mutant{Fault: NetlinkRefused, Check: "SANDBOX-028.read", Kind: oracle.Sandbox},
		Mutant{Fault: RingOpen, Check: "SANDBOX-029.connect", Kind: oracle.Sandbox},
		Mutant{Fault: ForeignOpen, Check: "SANDBOX-030.connect", Kind: oracle.Sandbox},
		Mutant{Fault: KeysOpen, Check: "SANDBOX-031.session", Kind: oracle.Sandbox},
		Mutant{Fault: InterfacesOpen, Check: "SANDBOX-032.opened", Kind: oracle.Sandbox},
		Mutant{Fault: TerminalOpen, Check: "SANDBOX-033.typed", Kind: oracle.Sandbox},
		Mutant{Fault: ServiceVariables, Check: "SANDBOX-034.variables", Kind: oracle.Sandbox},
		Mutant{Fault: ChildLeft, Check: "SANDBOX-035.signals", Kind: oracle.Process},
		Mutant{Fault: VariablesOnly, Check: "SANDBOX-035.memory", Kind: oracle.Process},
		Mutant{Fault: NetworkKept, Check: "SANDBOX-037.sockets", Kind: oracle.Sandbox},
		Mutant{Fault: MiddleLeft, Check: "SANDBOX-038.between", Kind: oracle.Process},
		Mutant{Fault: OutlivesLauncher, Check: "SANDBOX-038.descendants", Kind: oracle.Process},
		Mutant{Fault: AbstractOpen, Check: "SANDBOX-009.abstract-sockets", Kind: oracle.Sandbox},
		Mutant{Fault: AbstractOpen, Check: "SANDBOX-009.abstract-datagrams", Kind: oracle.Sandbox},
	), rows([]string{"CONNECT-001*", "CONNECT-008*", "SANDBOX-036*"},
		Mutant{Fault: PagesServed, Check: "SANDBOX-036.pages", Kind: oracle.ClientStatus},
		Mutant{Fault: LiteralsOpen, Check: "SANDBOX-036.ports", Kind: oracle.ClientStatus},
	))
}
