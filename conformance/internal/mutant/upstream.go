// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"slices"

	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	. "github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
)

// Areas of the chain. The two checks of slow upstreams wait for a time-out and have mutants of their own.
var (
	chains = []string{
		"CONNECT-001*", "DENY-001*", "UPSTREAM-00*", "UPSTREAM-01[1-9]*", "UPSTREAM-02*",
	}
	slowChains = []string{"CONNECT-001*", "UPSTREAM-001*", "UPSTREAM-010*"}
	// Of two connections to the origin the first is as likely to be looked at as the second.
	countedChains = []string{"CONNECT-001*", "UPSTREAM-001*", "UPSTREAM-002*"}
)

func upstreamMutants() []Mutant {
	twice := rows(countedChains, Mutant{Fault: ChainedTwice, Check: "UPSTREAM-001.tunnel", Kind: oracle.Upstream})
	return slices.Concat(twice, chainMutants(), brokenMutants(), answerChainMutants(), loginMutants(), kindMutants(), unclaimedChainMutants())
}

func chainMutants() []Mutant {
	return rows(chains,
		Mutant{Fault: UpstreamIgnored, Check: "UPSTREAM-001.tunnel", Kind: oracle.OriginDial},
		Mutant{Fault: UpstreamIgnored, Check: "UPSTREAM-021.tunnel", Kind: oracle.OriginDial},
		Mutant{Fault: ChainHostWrong, Check: "UPSTREAM-001.request", Kind: oracle.Upstream},
		Mutant{Fault: SecondDirect, Check: "UPSTREAM-002.names", Kind: oracle.OriginDial},
		Mutant{Fault: PortsDirect, Check: "UPSTREAM-002.names", Kind: oracle.OriginDial},
		Mutant{Fault: PortsDirect, Check: "UPSTREAM-002.ports", Kind: oracle.OriginDial},
		Mutant{Fault: LiteralsDirect, Check: "UPSTREAM-002.addresses", Kind: oracle.OriginDial},
		Mutant{Fault: CrowdDirect, Check: "UPSTREAM-002.parallel", Kind: oracle.OriginDial},
		Mutant{Fault: SocketDirect, Check: "UPSTREAM-002.socket", Kind: oracle.OriginDial},
		Mutant{Fault: SandboxDirect, Check: "UPSTREAM-002.sandbox", Kind: oracle.OriginDial},
		Mutant{Fault: NoProxyObeyed, Check: "UPSTREAM-002.no-proxy", Kind: oracle.OriginDial},
		Mutant{Fault: ChainedFirst, Check: "UPSTREAM-003.names", Kind: oracle.Upstream},
		Mutant{Fault: ChainedFirst, Check: "UPSTREAM-019.filtered", Kind: oracle.Upstream},
		Mutant{Fault: ChainLiteralsOpen, Check: "UPSTREAM-003.addresses", Kind: oracle.Upstream},
		Mutant{Fault: ChainMalformed, Check: "UPSTREAM-003.malformed", Kind: oracle.Upstream},
		Mutant{Fault: ChainEmptyPolicy, Check: "UPSTREAM-003.empty-policy", Kind: oracle.Upstream},
		Mutant{Fault: ChainResolves, Check: "UPSTREAM-004.no-lookup", Kind: oracle.DNSQuery},
		Mutant{Fault: ChainResolves, Check: "UPSTREAM-019.name", Kind: oracle.DNSQuery},
		Mutant{Fault: UpstreamFallsBack, Check: "UPSTREAM-005.down", Kind: oracle.OriginDial},
		Mutant{Fault: UpstreamFallsBack, Check: "UPSTREAM-017.down", Kind: oracle.OriginDial},
		Mutant{Fault: UpstreamFallsBack, Check: "UPSTREAM-019.down", Kind: oracle.OriginDial},
		Mutant{Fault: UpstreamFallsBack, Check: "UPSTREAM-021.down", Kind: oracle.OriginDial},
		Mutant{Fault: UpstreamStaysDown, Check: "UPSTREAM-005.again", Kind: oracle.ClientStatus},
		Mutant{Fault: BadURLIgnored, Check: "UPSTREAM-022.empty", Kind: oracle.OriginDial},
		Mutant{Fault: BadURLIgnored, Check: "UPSTREAM-022.scheme", Kind: oracle.OriginDial},
		Mutant{Fault: BadURLIgnored, Check: "UPSTREAM-022.host", Kind: oracle.OriginDial},
		Mutant{Fault: BadURLIgnored, Check: "UPSTREAM-022.port", Kind: oracle.OriginDial},
		Mutant{Fault: BadURLIgnored, Check: "UPSTREAM-022.characters", Kind: oracle.OriginDial},
	)
}

// brokenMutants have faults of the relay and of Stop, which break much else.
func brokenMutants() []Mutant {
	return slices.Concat(rows([]string{"UPSTREAM-001.tunnel", "*.half-close"},
		Mutant{Fault: UpEndLost, Check: "UPSTREAM-015.half-close", Kind: oracle.OriginStream},
		Mutant{Fault: UpEndLost, Check: "UPSTREAM-019.half-close", Kind: oracle.OriginStream},
		Mutant{Fault: UpEndLost, Check: "UPSTREAM-021.half-close", Kind: oracle.OriginStream},
	), rows([]string{"UPSTREAM-001.tunnel", "UPSTREAM-01[56].*"},
		Mutant{Fault: Truncates, Check: "UPSTREAM-015.bytes", Kind: oracle.OriginStream},
		Mutant{Fault: CloseKeepsTunnels, Check: "UPSTREAM-016.client-end", Kind: oracle.ClientStream},
		Mutant{Fault: CloseKeepsOrigins, Check: "UPSTREAM-016.upstream-end", Kind: oracle.OriginStream},
	))
}

func answerChainMutants() []Mutant {
	return slices.Concat(rows(chains,
		Mutant{Fault: ChainAnyAnswer, Check: "UPSTREAM-006.status", Kind: oracle.ClientStatus},
		Mutant{Fault: ChainAnyAnswer, Check: "UPSTREAM-011.wrong", Kind: oracle.ClientStatus},
		Mutant{Fault: ChainInterim, Check: "UPSTREAM-006.interim", Kind: oracle.ClientStatus},
		Mutant{Fault: UpstreamKept, Check: "UPSTREAM-006.ended", Kind: oracle.Upstream},
		Mutant{Fault: ChainAnswerShown, Check: "UPSTREAM-007.nothing-shown", Kind: oracle.ClientAnswer},
		Mutant{Fault: ChainCutHead, Check: "UPSTREAM-008.cut", Kind: oracle.ClientStatus},
		Mutant{Fault: ChainGarbage, Check: "UPSTREAM-008.garbage", Kind: oracle.ClientStatus},
		Mutant{Fault: ChainHeadEndless, Check: "UPSTREAM-009.line", Kind: oracle.Upstream},
		Mutant{Fault: ChainHeadEndless, Check: "UPSTREAM-009.fields", Kind: oracle.Upstream},
		Mutant{Fault: ChainInterimEndless, Check: "UPSTREAM-009.interim", Kind: oracle.Upstream},
		Mutant{Fault: ChainBytesLost, Check: "UPSTREAM-014.behind", Kind: oracle.ClientStream},
		Mutant{Fault: ChainOneRead, Check: "UPSTREAM-014.segments", Kind: oracle.ClientStatus},
		Mutant{Fault: ChainFraming, Check: "UPSTREAM-014.framing", Kind: oracle.ClientStream},
	), rows(slowChains,
		Mutant{Fault: UpstreamPatient, Check: "UPSTREAM-010.silent", Kind: oracle.ClientStatus},
		Mutant{Fault: ChainTimeRenewed, Check: "UPSTREAM-010.dribble", Kind: oracle.ClientStatus},
	))
}

func loginMutants() []Mutant {
	return rows(chains,
		Mutant{Fault: UpstreamLoginMissing, Check: "UPSTREAM-011.sent", Kind: oracle.Upstream},
		Mutant{Fault: UpstreamLoginMissing, Check: "UPSTREAM-019.credentials", Kind: oracle.Upstream},
		Mutant{Fault: LoginToOrigin, Check: "UPSTREAM-012.origin", Kind: oracle.OriginStream},
		Mutant{Fault: LoginShown, Check: "UPSTREAM-012.client", Kind: oracle.ClientAnswer},
		Mutant{Fault: LoginLogged, Check: "UPSTREAM-012.log", Kind: oracle.Lifecycle},
		Mutant{Fault: LoginInArguments, Check: "UPSTREAM-012.processes", Kind: oracle.Process},
		Mutant{Fault: LoginInSandbox, Check: "UPSTREAM-012.sandbox", Kind: oracle.Sandbox},
		Mutant{Fault: ClientLoginChained, Check: "UPSTREAM-013.not-forwarded", Kind: oracle.Upstream},
	)
}

func kindMutants() []Mutant {
	return rows(chains,
		Mutant{Fault: TLSInClear, Check: "UPSTREAM-017.tunnel", Kind: oracle.Upstream},
		Mutant{Fault: TLSEndLost, Check: "UPSTREAM-017.half-close", Kind: oracle.OriginStream},
		Mutant{Fault: TLSUnverified, Check: "UPSTREAM-018.wrong-name", Kind: oracle.Upstream},
		Mutant{Fault: TLSUnverified, Check: "UPSTREAM-018.unknown-authority", Kind: oracle.Upstream},
		Mutant{Fault: TLSUnverified, Check: "UPSTREAM-018.expired", Kind: oracle.Upstream},
		Mutant{Fault: TLSFallsBack, Check: "UPSTREAM-018.clear-text", Kind: oracle.Upstream},
		Mutant{Fault: SocksLiteralsNamed, Check: "UPSTREAM-019.addresses", Kind: oracle.Upstream},
		Mutant{Fault: SocksBoundFixed, Check: "UPSTREAM-019.bound", Kind: oracle.ClientStream},
		Mutant{Fault: SocksReplyIgnored, Check: "UPSTREAM-020.refused", Kind: oracle.ClientStatus},
		Mutant{Fault: SocksCutReply, Check: "UPSTREAM-020.cut", Kind: oracle.ClientStatus},
		Mutant{Fault: SocksVersionIgnored, Check: "UPSTREAM-020.garbage", Kind: oracle.ClientStatus},
		Mutant{Fault: SocksMethodIgnored, Check: "UPSTREAM-020.method", Kind: oracle.ClientStatus},
		Mutant{Fault: SocksLoginIgnored, Check: "UPSTREAM-020.login", Kind: oracle.ClientStatus},
	)
}

// unclaimedChainMutants take an upstream they know nothing of, and go directly.
func unclaimedChainMutants() []Mutant {
	var out []Mutant
	for _, check := range []string{"001", "011", "017", "019", "021"} {
		out = append(out, Mutant{Fault: FeaturesFeigned, Check: "UPSTREAM-" + check + ".unclaimed", Kind: oracle.OriginDial, Entry: Bare})
	}
	return rows([]string{"*.unclaimed", "CONNECT-001*"}, out...)
}
