// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"slices"

	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	. "github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
)

// Areas of transparent sandboxes. Every one of them has what has to work.
var (
	lookups  = []string{"TRANSPARENT-00*", "TRANSPARENT-025*"}
	stands   = []string{"TRANSPARENT-001*", "TRANSPARENT-009*", "TRANSPARENT-01[016]*", "TRANSPARENT-021*"}
	captured = []string{"TRANSPARENT-00[12]*", "TRANSPARENT-01[2-8]*"}
	outcome  = []string{"TRANSPARENT-001*", "TRANSPARENT-01[4789]*"}
	carried  = []string{"TRANSPARENT-001*", "TRANSPARENT-020*"}
	around   = []string{"TRANSPARENT-001*", "TRANSPARENT-02[1-47]*"}
)

// transparentMutants are tried from inside alone, which keeps them apart from those of the other areas.
func transparentMutants() []Mutant {
	out := slices.Concat(
		rows(lookups, lookupMutants()...), rows(stands, standMutants()...),
		// Not where one program asks for both families at once: which answer is the last one is chance.
		rows([]string{"TRANSPARENT-009*"}, Mutant{Fault: AddressesChange, Check: "TRANSPARENT-009.again", Kind: oracle.Sandbox}),
		rows(captured, capturedMutants()...),
		rows(outcome, outcomeMutants()...), rows(carried, carriedMutants()...), rows(around, aroundMutants()...))
	for i := range out {
		out[i].Entry = Sandbox
	}
	return append(out, rows([]string{"*.unclaimed", "CONNECT-001*"},
		Mutant{Fault: FeaturesFeigned, Check: "TRANSPARENT-026.unclaimed", Kind: oracle.Lifecycle, Entry: Bare})...)
}

func lookupMutants() []Mutant {
	return []Mutant{
		{Fault: NotTransparent, Check: "TRANSPARENT-001.resolver", Kind: oracle.Sandbox},
		{Fault: NotTransparent, Check: "TRANSPARENT-001.ipv4", Kind: oracle.Sandbox},
		{Fault: CaptureIPv4Only, Check: "TRANSPARENT-001.ipv6", Kind: oracle.Sandbox},
		{Fault: NamesAllAnswered, Check: "TRANSPARENT-002.no-address", Kind: oracle.Sandbox},
		{Fault: NamesForwarded, Check: "TRANSPARENT-002.no-address", Kind: oracle.Sandbox},
		{Fault: NamesForwarded, Check: "TRANSPARENT-002.not-asked", Kind: oracle.DNSQuery},
		{Fault: NamesRefused, Check: "TRANSPARENT-003.no-such-name", Kind: oracle.Sandbox},
		{Fault: ReasonsUnsaid, Check: "TRANSPARENT-004.extended-error", Kind: oracle.Sandbox},
		{Fault: OneResolver, Check: "TRANSPARENT-005.udp", Kind: oracle.Sandbox},
		{Fault: StreamsMissing, Check: "TRANSPARENT-005.tcp", Kind: oracle.Sandbox},
		{Fault: TypesForwarded, Check: "TRANSPARENT-006.types", Kind: oracle.DNSQuery},
		{Fault: MalformedForwarded, Check: "TRANSPARENT-006.malformed", Kind: oracle.DNSQuery},
		{Fault: DiesOfMalformed, Check: "TRANSPARENT-006.malformed", Kind: oracle.Process},
		{Fault: ResponsesAnswered, Check: "TRANSPARENT-006.malformed", Kind: oracle.Sandbox},
		{Fault: ResolvesAtLookup, Check: "TRANSPARENT-006.lookup-alone", Kind: oracle.DNSQuery},
		{Fault: TypesNotFound, Check: "TRANSPARENT-007.empty", Kind: oracle.Sandbox},
		{Fault: CaseFolded, Check: "TRANSPARENT-008.question", Kind: oracle.Sandbox},
		{Fault: EDNSIgnored, Check: "TRANSPARENT-008.edns", Kind: oracle.Sandbox},
		{Fault: LocalhostUnknown, Check: "TRANSPARENT-025.localhost", Kind: oracle.Sandbox},
	}
}

func standMutants() []Mutant {
	return []Mutant{
		{Fault: AddressesShared, Check: "TRANSPARENT-009.many", Kind: oracle.Sandbox},
		{Fault: LastNameWins, Check: "TRANSPARENT-010.neighbours", Kind: oracle.Sandbox},
		{Fault: NamesShared, Check: "TRANSPARENT-011.other-sandbox", Kind: oracle.Sandbox},
		{Fault: NamesMixed, Check: "TRANSPARENT-011.side-by-side", Kind: oracle.OriginDial},
		{Fault: PoolNotTranslated, Check: "TRANSPARENT-021.address", Kind: oracle.Sandbox},
	}
}

func capturedMutants() []Mutant {
	return []Mutant{
		{Fault: CapturedUnfiltered, Check: "TRANSPARENT-012.literals", Kind: oracle.Sandbox},
		{Fault: PublicLiteralsOpen, Check: "TRANSPARENT-012.literals", Kind: oracle.Sandbox},
		{Fault: LiteralsNotCaptured, Check: "TRANSPARENT-012.admitted", Kind: oracle.Sandbox},
		{Fault: AddressesUnchecked, Check: "TRANSPARENT-013.special", Kind: oracle.Sandbox},
		{Fault: LooksUpTwice, Check: "TRANSPARENT-013.rebinding", Kind: oracle.OriginDial},
		{Fault: PortIgnored, Check: "TRANSPARENT-014.other-ports", Kind: oracle.Sandbox},
		{Fault: PortIgnored, Check: "TRANSPARENT-014.port-lines", Kind: oracle.Sandbox},
		{Fault: EveryPortFeigned, Check: "TRANSPARENT-014.every-port", Kind: oracle.Sandbox},
		{Fault: DenyIgnored, Check: "TRANSPARENT-015.deny", Kind: oracle.Sandbox},
		{Fault: SuffixMatch, Check: "TRANSPARENT-016.tables", Kind: oracle.Sandbox},
		{Fault: WildcardDeep, Check: "TRANSPARENT-016.tables", Kind: oracle.Sandbox},
		{Fault: AnyAdmitsLiterals, Check: "TRANSPARENT-016.tables", Kind: oracle.Sandbox},
	}
}

func outcomeMutants() []Mutant {
	return []Mutant{
		{Fault: CaptureHangs, Check: "TRANSPARENT-017.refused", Kind: oracle.Sandbox},
		{Fault: AnswersInHTTP, Check: "TRANSPARENT-017.refused", Kind: oracle.Sandbox},
		{Fault: FailureHangs, Check: "TRANSPARENT-017.failed", Kind: oracle.Sandbox},
		{Fault: EndsInOrder, Check: "TRANSPARENT-018.reset", Kind: oracle.Sandbox},
		{Fault: UDPSwallowed, Check: "TRANSPARENT-019.at-once", Kind: oracle.Sandbox},
		{Fault: UDPRelayed, Check: "TRANSPARENT-019.contained", Kind: oracle.OriginDial},
	}
}

func carriedMutants() []Mutant {
	return []Mutant{
		{Fault: UpEndLost, Check: "TRANSPARENT-020.client-half-close", Kind: oracle.OriginStream},
		{Fault: EarlyEndRefused, Check: "TRANSPARENT-020.early-end", Kind: oracle.ClientStream},
		{Fault: TunnelHeadTimeout, Check: "TRANSPARENT-020.idle", Kind: oracle.ClientStream},
		{Fault: DownEndLost, Check: "TRANSPARENT-020.origin-half-close", Kind: oracle.ClientStream},
		{Fault: WaitsForClient, Check: "TRANSPARENT-020.banner", Kind: oracle.ClientStream},
		{Fault: FlipsByte, Check: "TRANSPARENT-020.upload", Kind: oracle.OriginStream},
		{Fault: FlipsByte, Check: "TRANSPARENT-020.download", Kind: oracle.ClientStream},
		{Fault: CaptureKept, Check: "TRANSPARENT-020.client-reset", Kind: oracle.OriginStream},
		{Fault: ClientKept, Check: "TRANSPARENT-020.origin-reset", Kind: oracle.ClientStream},
	}
}

func aroundMutants() []Mutant {
	return []Mutant{
		{Fault: VariablesMissing, Check: "TRANSPARENT-021.name", Kind: oracle.Sandbox},
		{Fault: AllowAll, Check: "TRANSPARENT-021.denied", Kind: oracle.OriginDial},
		{Fault: FailsOpen, Check: "TRANSPARENT-022.new", Kind: oracle.Sandbox},
		{Fault: NetworkKept, Check: "TRANSPARENT-022.running", Kind: oracle.Sandbox},
		{Fault: CapabilitiesKept, Check: "TRANSPARENT-023.capabilities", Kind: oracle.Process},
		{Fault: PrivilegesReturn, Check: "TRANSPARENT-023.no-new-privileges", Kind: oracle.Process},
		{Fault: DescriptorsLeaked, Check: "TRANSPARENT-023.descriptors", Kind: oracle.Process},
		{Fault: CapabilitiesKept, Check: "TRANSPARENT-023.routes", Kind: oracle.Sandbox},
		{Fault: NetworkKept, Check: "TRANSPARENT-024.host-loopback", Kind: oracle.Sandbox},
		{Fault: AbstractOpen, Check: "TRANSPARENT-024.abstract-sockets", Kind: oracle.Sandbox},
		{Fault: CapabilitiesKept, Check: "TRANSPARENT-024.raw-sockets", Kind: oracle.Sandbox},
		{Fault: NetworkKept, Check: "TRANSPARENT-024.nested", Kind: oracle.Sandbox},
		{Fault: GreedyPorts, Check: "TRANSPARENT-027.loopback", Kind: oracle.Sandbox},
	}
}
