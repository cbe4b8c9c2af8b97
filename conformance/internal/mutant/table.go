// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"slices"

	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	. "github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
)

// Mutant is one row: a fault, the check that is named for it, and the witness that check rests on. Other
// checks may notice the fault too; testdata/mutants.golden lists every one of them.
type Mutant struct {
	Fault Fault
	Check string
	Kind  oracle.Kind
	// Entry is the way in; "" is TCP.
	Entry Entry
	// Areas are patterns of the checks that are run. Most faults break something next to which everything
	// else still has to pass; one that breaks the positive control of everything is tried in few areas,
	// where what it breaks can be told apart.
	Areas []string
}

// Areas: checks that cost much and have nothing to do with a kind of fault are left out.
var (
	requests = []string{
		"CONNECT-*", "DENY-*", "HOST-*", "ADDR-*", "PORT-*", "HEAD-*", "RELAY-00[345].*", "LIFE-00[89].*", "BRIDGE-001.*",
	}
	parsers = []string{"CONNECT-00[1489]*", "DENY-00[1-4]*", "HOST-*", "PORT-*", "ADDR-00[1-8]*", "HEAD-00[1268]*"}
	heads   = []string{"CONNECT-*", "DENY-00[1-5]*", "HEAD-*", "HOST-00[178]*", "PORT-003*", "LIMIT-001*"}
	answers = []string{"CONNECT-*", "DENY-*", "HOST-00[13]*", "PORT-001*", "HEAD-001*", "ADDR-01[0-3]*"}
	relays  = []string{"CONNECT-*", "DENY-00[1-5]*", "RELAY-*", "LIMIT-004*", "LIFE-00[4-7]*", "BRIDGE-008.*", "HOST-001*"}
	lives   = []string{"CONNECT-*", "DENY-00*", "RELAY-00[347]*", "LIFE-*", "BRIDGE-*", "ADDR-016*", "PORT-001*"}
	sandbox = []string{"CONNECT-001*", "SANDBOX-0[01]*", "SANDBOX-02[0-2]*"}
	doors   = []string{"CONNECT-001*", "SANDBOX-00*", "SANDBOX-011*", "SANDBOX-02[3-9]*", "SANDBOX-03*"}
)

// Table returns the matrix.
func Table() []Mutant {
	return slices.Concat(broadMutants(), policyMutants(), parserMutants(), headMutants(), answerMutants(), relayMutants(),
		limitMutants(), lifeMutants(), bridgeMutants(), sandboxMutants(), transparentMutants(), doorMutants(), unclaimedMutants(), upstreamMutants(), launcherMutants())
}

func rows(areas []string, all ...Mutant) []Mutant {
	for i := range all {
		all[i].Areas = areas
	}
	return all
}

// broadMutants break the positive control.
func broadMutants() []Mutant {
	return slices.Concat(
		rows([]string{"CONNECT-00[1-5]*", "DENY-*", "HOST-003*", "LIFE-001*"},
			Mutant{Fault: DenyAll, Check: "CONNECT-001.tunnel", Kind: oracle.ClientStatus}),
		rows([]string{"CONNECT-00[1-3]*", "DENY-00[1-3]*", "PORT-001*"},
			Mutant{Fault: OnlyHTTP, Check: "PORT-001.https", Kind: oracle.ClientStatus}),
		rows([]string{"CONNECT-00[1346]*", "RELAY-005*"},
			Mutant{Fault: WaitsForClient, Check: "CONNECT-006.banner", Kind: oracle.ClientStream}),
		// Not the checks that take an origin's connections: which of the two would be handed over first is chance.
		rows([]string{"CONNECT-00[589]*", "DENY-*", "HOST-*", "ADDR-*", "PORT-*", "HEAD-*", "LIFE-00[89].*", "BRIDGE-001.*"},
			Mutant{Fault: DialsFirst, Check: "DENY-002.no-dial", Kind: oracle.OriginDial}),
		rows([]string{"CONNECT-001*", "RELAY-009*"},
			Mutant{Fault: FirstByteLost, Check: "RELAY-009.first-bytes", Kind: oracle.ClientStream}),
		rows([]string{"SANDBOX-013*", "SANDBOX-016*", "SANDBOX-022*"},
			Mutant{Fault: RelayLeft, Check: "SANDBOX-022.nothing-left", Kind: oracle.Process}),
		rows([]string{"CONNECT-*", "DENY-*", "LIMIT-003*"},
			Mutant{Fault: FewConnections, Check: "LIMIT-003.idle-clients", Kind: oracle.ClientStatus}),
	)
}

func policyMutants() []Mutant {
	return rows(requests,
		Mutant{Fault: AllowAll, Check: "DENY-001.no-tunnel", Kind: oracle.ClientStatus},
		Mutant{Fault: DenyIgnored, Check: "DENY-008.contained", Kind: oracle.OriginDial},
		Mutant{Fault: DenyOverreaches, Check: "DENY-008.tunnel", Kind: oracle.Control},
		Mutant{Fault: FeaturesIgnored, Check: "HOST-017.tunnel", Kind: oracle.ClientStatus},
		Mutant{Fault: FeaturesIgnored, Check: "HOST-018.tunnel", Kind: oracle.ClientStatus},
		Mutant{Fault: FeaturesIgnored, Check: "HOST-020.tunnel", Kind: oracle.Control},
		Mutant{Fault: FeaturesIgnored, Check: "ADDR-014.tunnel", Kind: oracle.ClientStatus},
		Mutant{Fault: FeaturesIgnored, Check: "PORT-004.tunnel", Kind: oracle.ClientStatus},
		Mutant{Fault: BadLinesIgnored, Check: "DENY-009.bad-line", Kind: oracle.Lifecycle},
		Mutant{Fault: ResolvesFirst, Check: "DENY-002.no-lookup", Kind: oracle.DNSQuery},
		Mutant{Fault: TrustsAfterRefusal, Check: "DENY-005.next-request", Kind: oracle.OriginDial},
		Mutant{Fault: CaseSensitive, Check: "HOST-001.tunnel", Kind: oracle.ClientStatus},
		Mutant{Fault: RuleCaseKept, Check: "HOST-002.tunnel", Kind: oracle.Control},
		Mutant{Fault: SuffixMatch, Check: "HOST-003.contained", Kind: oracle.OriginDial},
		Mutant{Fault: PrefixMatch, Check: "HOST-004.contained", Kind: oracle.OriginDial},
		Mutant{Fault: SubdomainImplied, Check: "HOST-005.contained", Kind: oracle.OriginDial},
		Mutant{Fault: WildcardApex, Check: "HOST-017.contained", Kind: oracle.OriginDial},
		Mutant{Fault: WildcardApex, Check: "HOST-018.contained", Kind: oracle.OriginDial},
		Mutant{Fault: WildcardDeep, Check: "HOST-017.contained", Kind: oracle.OriginDial},
		Mutant{Fault: HostFieldDecides, Check: "HOST-019.contained", Kind: oracle.OriginDial},
		Mutant{Fault: HostFieldDialled, Check: "HOST-019.target-reached", Kind: oracle.OriginDial},
		Mutant{Fault: PublicLiteralsOpen, Check: "ADDR-001.contained", Kind: oracle.OriginDial},
		Mutant{Fault: LiteralsOpen, Check: "ADDR-002.contained", Kind: oracle.OriginDial},
		Mutant{Fault: LiteralsOpen, Check: "ADDR-004.contained", Kind: oracle.OriginDial},
		Mutant{Fault: LiteralsOpen, Check: "ADDR-005.contained", Kind: oracle.OriginDial},
		Mutant{Fault: LocalhostOpen, Check: "ADDR-008.contained", Kind: oracle.OriginDial},
		Mutant{Fault: AnyAdmitsLiterals, Check: "ADDR-009.contained", Kind: oracle.OriginDial},
		Mutant{Fault: AddressesUnchecked, Check: "ADDR-010.contained", Kind: oracle.OriginDial},
		Mutant{Fault: AddressesUnchecked, Check: "ADDR-013.contained", Kind: oracle.OriginDial},
		Mutant{Fault: AddressesUnchecked, Check: "HOST-020.contained", Kind: oracle.OriginDial},
		Mutant{Fault: WrappersOpen, Check: "ADDR-010.contained", Kind: oracle.OriginDial},
		Mutant{Fault: FirstAnswerChecked, Check: "ADDR-011.contained", Kind: oracle.OriginDial},
		Mutant{Fault: MixedFiltered, Check: "ADDR-011.status", Kind: oracle.ClientStatus},
		Mutant{Fault: LooksUpTwice, Check: "ADDR-012.no-rebinding", Kind: oracle.OriginDial},
		Mutant{Fault: LooksUpTwice, Check: "ADDR-012.one-lookup", Kind: oracle.DNSQuery},
		Mutant{Fault: AddressPortIgnored, Check: "ADDR-014.contained", Kind: oracle.OriginDial},
		Mutant{Fault: OnlyIPv4, Check: "ADDR-015.tunnel", Kind: oracle.ClientStatus},
		Mutant{Fault: DialsItself, Check: "ADDR-016.no-recursion", Kind: oracle.ClientStatus},
		Mutant{Fault: OnlyHTTPS, Check: "PORT-001.http", Kind: oracle.OriginDial},
		Mutant{Fault: UpgradesHTTP, Check: "PORT-001.http", Kind: oracle.OriginDial},
		Mutant{Fault: PortIgnored, Check: "PORT-002.contained", Kind: oracle.OriginDial},
		Mutant{Fault: PortIgnored, Check: "PORT-004.contained", Kind: oracle.OriginDial},
		Mutant{Fault: EnvironmentProxy, Check: "CONNECT-010.host-proxy", Kind: oracle.ClientStatus},
		Mutant{Fault: SharedPolicy, Check: "LIFE-008.separate-policies", Kind: oracle.OriginDial, Entry: TCP},
	)
}

func parserMutants() []Mutant {
	return rows(parsers,
		Mutant{Fault: DotKept, Check: "HOST-006.tunnel", Kind: oracle.ClientStatus},
		Mutant{Fault: DotsStripped, Check: "HOST-006.contained", Kind: oracle.OriginDial},
		Mutant{Fault: UserinfoStripped, Check: "HOST-007.contained", Kind: oracle.OriginDial},
		Mutant{Fault: ControlsStripped, Check: "HOST-008.contained", Kind: oracle.OriginDial},
		Mutant{Fault: SpacesInTarget, Check: "HOST-008.contained", Kind: oracle.OriginDial},
		Mutant{Fault: PercentDecoded, Check: "HOST-009.contained", Kind: oracle.OriginDial},
		Mutant{Fault: BracketsStripped, Check: "HOST-010.contained", Kind: oracle.OriginDial},
		Mutant{Fault: DelimitersCut, Check: "HOST-011.contained", Kind: oracle.OriginDial},
		Mutant{Fault: OnePortTooMany, Check: "HOST-012.contained", Kind: oracle.OriginDial},
		Mutant{Fault: EmptyLabelsSqueezed, Check: "HOST-013.contained", Kind: oracle.OriginDial},
		Mutant{Fault: LongNamesCut, Check: "HOST-014.contained", Kind: oracle.OriginDial},
		Mutant{Fault: UnicodeStripped, Check: "HOST-015.contained", Kind: oracle.OriginDial},
		Mutant{Fault: UnderscoreRefused, Check: "HOST-016.tunnel", Kind: oracle.ClientStatus},
		Mutant{Fault: AtonDialled, Check: "ADDR-003.contained", Kind: oracle.OriginDial},
		Mutant{Fault: ZoneStripped, Check: "ADDR-006.contained", Kind: oracle.OriginDial},
		Mutant{Fault: OctetsWrap, Check: "ADDR-007.contained", Kind: oracle.OriginDial},
		Mutant{Fault: PortDefaulted, Check: "PORT-003.contained", Kind: oracle.OriginDial},
		Mutant{Fault: PortLenient, Check: "PORT-003.contained", Kind: oracle.OriginDial},
	)
}

func headMutants() []Mutant {
	return rows(heads,
		Mutant{Fault: LinesLenient, Check: "HEAD-001.contained", Kind: oracle.OriginDial},
		Mutant{Fault: FieldsLenient, Check: "HEAD-002.contained", Kind: oracle.OriginDial},
		Mutant{Fault: LineFeedsAccepted, Check: "HEAD-003.contained", Kind: oracle.OriginDial},
		Mutant{Fault: HostUnchecked, Check: "HEAD-004.contained", Kind: oracle.OriginDial},
		Mutant{Fault: FramingIgnored, Check: "HEAD-005.contained", Kind: oracle.OriginDial},
		Mutant{Fault: CRLFRefused, Check: "HEAD-006.tunnel", Kind: oracle.ClientStatus},
		Mutant{Fault: EOFEndsHead, Check: "HEAD-007.contained", Kind: oracle.OriginDial},
		Mutant{Fault: DiesOfGarbage, Check: "HEAD-008.contained", Kind: oracle.Control},
		Mutant{Fault: PlainForwarded, Check: "CONNECT-008.contained", Kind: oracle.OriginDial},
		Mutant{Fault: MethodCaseIgnored, Check: "CONNECT-009.contained", Kind: oracle.OriginDial},
	)
}

func answerMutants() []Mutant {
	out := rows(answers,
		Mutant{Fault: EarlyAnswer, Check: "CONNECT-002.after-dial", Kind: oracle.ClientStatus},
		Mutant{Fault: DialFailureForbidden, Check: "CONNECT-005.refused", Kind: oracle.ClientStatus},
		Mutant{Fault: LookupFailureForbidden, Check: "CONNECT-005.no-such-name", Kind: oracle.ClientStatus},
		Mutant{Fault: LookupFailureForbidden, Check: "CONNECT-005.name-server-fails", Kind: oracle.ClientStatus},
		Mutant{Fault: LookupFailureForbidden, Check: "CONNECT-005.no-address", Kind: oracle.ClientStatus},
		Mutant{Fault: AnswerWithLength, Check: "CONNECT-007.no-framing", Kind: oracle.ClientAnswer},
		Mutant{Fault: AnswerHTTP10, Check: "CONNECT-007.no-framing", Kind: oracle.ClientAnswer},
		Mutant{Fault: MethodNotImplemented, Check: "CONNECT-008.status", Kind: oracle.ClientStatus},
		Mutant{Fault: AllowMissing, Check: "CONNECT-008.allow", Kind: oracle.ClientAnswer},
		Mutant{Fault: DenialTunnels, Check: "DENY-001.no-tunnel", Kind: oracle.ClientStatus},
		Mutant{Fault: DenialTunnels, Check: "DENY-004.zero-policy", Kind: oracle.ClientStatus},
		Mutant{Fault: DenialNotFound, Check: "DENY-003.status", Kind: oracle.ClientStatus},
		Mutant{Fault: DenialSilent, Check: "DENY-003.complete", Kind: oracle.ClientAnswer},
		Mutant{Fault: BodyTruncated, Check: "DENY-003.complete", Kind: oracle.ClientAnswer},
		Mutant{Fault: BodySilent, Check: "DENY-006.names-target", Kind: oracle.ClientAnswer},
		Mutant{Fault: TargetEchoed, Check: "DENY-010.reflection", Kind: oracle.ClientAnswer},
		Mutant{Fault: RefusalHangs, Check: "DENY-011.standing", Kind: oracle.ClientStream},
		Mutant{Fault: ReasonMissing, Check: "DENY-007.proxy-status", Kind: oracle.ClientAnswer},
		Mutant{Fault: MalformedNotFound, Check: "HEAD-001.status", Kind: oracle.ClientStatus},
	)
	for _, group := range []string{
		"HOST-003", "HOST-004", "HOST-005", "HOST-017", "HOST-019", "HOST-020", "ADDR-001", "ADDR-002", "ADDR-003",
		"ADDR-004", "ADDR-005", "ADDR-008", "ADDR-009", "ADDR-010", "ADDR-011", "ADDR-013", "ADDR-014", "PORT-002",
		"PORT-004", "DENY-008",
	} {
		out = append(out, Mutant{Fault: DenialNotFound, Check: group + ".status", Kind: oracle.ClientStatus, Areas: requests})
	}
	for _, group := range []string{
		"HOST-006", "HOST-007", "HOST-008", "HOST-009", "HOST-010", "HOST-011", "HOST-012", "HOST-013", "HOST-014",
		"HOST-015", "HOST-018", "ADDR-006", "ADDR-007", "PORT-003", "HEAD-002", "HEAD-003", "HEAD-004", "HEAD-005",
		"HEAD-007", "HEAD-008",
	} {
		out = append(out, Mutant{Fault: MalformedNotFound, Check: group + ".status", Kind: oracle.ClientStatus, Areas: requests})
	}
	return append(out, Mutant{Fault: MethodCaseIgnored, Check: "CONNECT-009.status", Kind: oracle.ClientStatus, Areas: heads})
}

func relayMutants() []Mutant {
	return rows(relays,
		Mutant{Fault: BytesLost, Check: "CONNECT-004.one-segment", Kind: oracle.OriginStream},
		Mutant{Fault: SegmentsRefused, Check: "CONNECT-004.byte-by-byte", Kind: oracle.ClientStatus},
		Mutant{Fault: EndsBoth, Check: "CONNECT-003.client-half-close", Kind: oracle.ClientStream},
		Mutant{Fault: UpEndLost, Check: "CONNECT-003.client-half-close", Kind: oracle.OriginStream},
		Mutant{Fault: DownEndLost, Check: "CONNECT-003.origin-half-close", Kind: oracle.ClientStream},
		Mutant{Fault: Truncates, Check: "RELAY-001.upload", Kind: oracle.OriginStream},
		Mutant{Fault: FlipsByte, Check: "RELAY-001.upload", Kind: oracle.OriginStream},
		Mutant{Fault: FlipsByte, Check: "RELAY-001.download", Kind: oracle.ClientStream},
		Mutant{Fault: StallsOthers, Check: "RELAY-002.slow-reader", Kind: oracle.ClientStream},
		Mutant{Fault: OriginKept, Check: "RELAY-003.client-reset", Kind: oracle.OriginStream},
		Mutant{Fault: ClientKept, Check: "RELAY-004.origin-reset", Kind: oracle.ClientStream},
		Mutant{Fault: InjectsAnswer, Check: "RELAY-005.only-origin-bytes", Kind: oracle.ClientStream},
		Mutant{Fault: MixesTunnels, Check: "RELAY-006.parallel", Kind: oracle.ClientStream},
		Mutant{Fault: UpEndLost, Check: "RELAY-007.no-sockets-left", Kind: oracle.Kernel},
		Mutant{Fault: CredentialsForwarded, Check: "RELAY-008.only-client-bytes", Kind: oracle.OriginStream},
	)
}

func limitMutants() []Mutant {
	return rows([]string{"CONNECT-*", "DENY-00[1-5]*", "HEAD-*", "RELAY-*", "LIMIT-*"},
		Mutant{Fault: NoHeadLimit, Check: "LIMIT-001.head-size", Kind: oracle.ClientStatus},
		Mutant{Fault: TimeoutEndsHead, Check: "LIMIT-002.not-evaluated", Kind: oracle.OriginDial},
		Mutant{Fault: NoHeadTimeout, Check: "LIMIT-002.head-time", Kind: oracle.ClientStatus},
		Mutant{Fault: HeadTimeoutRenewed, Check: "LIMIT-005.dribble", Kind: oracle.ClientStatus},
		Mutant{Fault: TunnelHeadTimeout, Check: "LIMIT-004.idle-tunnel", Kind: oracle.ClientStream},
	)
}

func lifeMutants() []Mutant {
	return slices.Concat(rows(lives,
		Mutant{Fault: WrongAddress, Check: "LIFE-001.port", Kind: oracle.Lifecycle},
		Mutant{Fault: ListensEverywhere, Check: "LIFE-001.loopback-only", Kind: oracle.Lifecycle},
		Mutant{Fault: PortNotHonoured, Check: "LIFE-002.explicit-port", Kind: oracle.Lifecycle},
		Mutant{Fault: BusyPortMoves, Check: "LIFE-003.busy-port", Kind: oracle.Lifecycle},
		Mutant{Fault: KeepsAccepting, Check: "LIFE-004.not-accepting", Kind: oracle.Lifecycle},
		Mutant{Fault: KeepsAccepting, Check: "LIFE-004.port-free", Kind: oracle.Lifecycle},
		Mutant{Fault: CloseKeepsTunnels, Check: "LIFE-005.client-end", Kind: oracle.ClientStream},
		Mutant{Fault: CloseKeepsOrigins, Check: "LIFE-005.origin-end", Kind: oracle.OriginStream},
		Mutant{Fault: CloseOnce, Check: "LIFE-006.stop-twice", Kind: oracle.Lifecycle},
		Mutant{Fault: BundleClaimed, Check: "LIFE-009.no-bundle", Kind: oracle.Lifecycle},
		Mutant{Fault: FailedStartStays, Check: "LIFE-011.failed-start", Kind: oracle.Lifecycle},
		Mutant{Fault: FailedStartStays, Check: "BRIDGE-011.failed-start", Kind: oracle.Socket},
		Mutant{Fault: DeathSilent, Check: "LIFE-010.death", Kind: oracle.Lifecycle},
	), rows([]string{"CONNECT-*", "DENY-00*", "LIFE-00[1-46-9]*", "LIFE-010*", "BRIDGE-*"},
		// Not LIFE-005, whose tunnels it waits for too: after a few Stops that hang the engine starts nothing more.
		Mutant{Fault: CloseWaits, Check: "LIFE-007.stop-in-progress", Kind: oracle.Lifecycle},
	))
}

func bridgeMutants() []Mutant {
	return rows([]string{"CONNECT-00[1-4]*", "DENY-00[1-3]*", "BRIDGE-*"},
		Mutant{Fault: SocketDeaf, Check: "BRIDGE-001.serves", Kind: oracle.Control},
		Mutant{Fault: SocketUnfiltered, Check: "BRIDGE-001.denies", Kind: oracle.OriginDial},
		Mutant{Fault: SocketLeft, Check: "BRIDGE-002.gone", Kind: oracle.Socket},
		Mutant{Fault: StaleRefused, Check: "BRIDGE-003.stale", Kind: oracle.Socket},
		Mutant{Fault: RemovesFiles, Check: "BRIDGE-004.regular-file", Kind: oracle.Socket},
		Mutant{Fault: RemovesFiles, Check: "BRIDGE-004.directory", Kind: oracle.Socket},
		Mutant{Fault: RemovesFiles, Check: "BRIDGE-004.symlink", Kind: oracle.Socket},
		Mutant{Fault: RemovesLive, Check: "BRIDGE-005.live", Kind: oracle.Socket},
		Mutant{Fault: SocketOpenMode, Check: "BRIDGE-006.mode", Kind: oracle.Socket},
		Mutant{Fault: RemovesOthers, Check: "BRIDGE-007.successor", Kind: oracle.Socket},
		Mutant{Fault: UpEndLost, Check: "BRIDGE-008.half-close", Kind: oracle.OriginStream},
		Mutant{Fault: PathCut, Check: "BRIDGE-009.long-path", Kind: oracle.Socket},
		Mutant{Fault: SocketBestEffort, Check: "BRIDGE-009.long-path", Kind: oracle.Socket},
	)
}

func sandboxMutants() []Mutant {
	return rows(sandbox,
		Mutant{Fault: DoorFails, Check: "SANDBOX-001.allowed", Kind: oracle.Sandbox},
		Mutant{Fault: AllowAll, Check: "SANDBOX-002.denied", Kind: oracle.OriginDial},
		Mutant{Fault: VariablesMissing, Check: "SANDBOX-003.variables", Kind: oracle.Sandbox},
		Mutant{Fault: LowerCaseMissing, Check: "SANDBOX-003.variables", Kind: oracle.Sandbox},
		Mutant{Fault: NoProxyWide, Check: "SANDBOX-003.no-proxy", Kind: oracle.Sandbox},
		Mutant{Fault: NetworkKept, Check: "SANDBOX-004.tcp", Kind: oracle.Sandbox},
		Mutant{Fault: NetworkKept, Check: "SANDBOX-005.udp", Kind: oracle.Sandbox},
		Mutant{Fault: NetworkKept, Check: "SANDBOX-006.dns", Kind: oracle.Sandbox},
		Mutant{Fault: NetworkKept, Check: "SANDBOX-007.ipv6", Kind: oracle.Sandbox},
		Mutant{Fault: NetworkKept, Check: "SANDBOX-008.host-loopback", Kind: oracle.Sandbox},
		Mutant{Fault: CapabilitiesKept, Check: "SANDBOX-010.raw-sockets", Kind: oracle.Sandbox},
		Mutant{Fault: CapabilitiesKept, Check: "SANDBOX-010.configure", Kind: oracle.Sandbox},
		Mutant{Fault: NetworkKept, Check: "SANDBOX-011.nested", Kind: oracle.Sandbox},
		Mutant{Fault: FailsOpen, Check: "SANDBOX-012.new", Kind: oracle.Sandbox},
		Mutant{Fault: NetworkKept, Check: "SANDBOX-012.running", Kind: oracle.Sandbox},
		Mutant{Fault: StatusLost, Check: "SANDBOX-013.status", Kind: oracle.Process},
		Mutant{Fault: SignalLost, Check: "SANDBOX-013.signal", Kind: oracle.Process},
		Mutant{Fault: DescriptorsLeaked, Check: "SANDBOX-014.descriptors", Kind: oracle.Process},
		Mutant{Fault: CapabilitiesKept, Check: "SANDBOX-015.capabilities", Kind: oracle.Process},
		Mutant{Fault: PrivilegesReturn, Check: "SANDBOX-015.no-new-privileges", Kind: oracle.Process},
		Mutant{Fault: ChildLeft, Check: "SANDBOX-016.children", Kind: oracle.Process},
		Mutant{Fault: OutlivesLauncher, Check: "SANDBOX-017.launcher-killed", Kind: oracle.Process},
		Mutant{Fault: OutputLost, Check: "SANDBOX-018.streams", Kind: oracle.Process},
		Mutant{Fault: DoorLate, Check: "SANDBOX-019.first-request", Kind: oracle.Sandbox},
		Mutant{Fault: ChildLeft, Check: "SANDBOX-020.processes", Kind: oracle.Process},
		Mutant{Fault: HostVariablesWin, Check: "SANDBOX-021.host-variables", Kind: oracle.Sandbox},
		Mutant{Fault: VariablesOnly, Check: "SANDBOX-004.tcp", Kind: oracle.Sandbox},
		Mutant{Fault: ResolvesOnHost, Check: "SANDBOX-006.dns", Kind: oracle.Sandbox},
	)
}

// unclaimedMutants claim nothing and do it all the same, wrongly: the checks of what is not claimed.
func unclaimedMutants() []Mutant {
	areas := []string{"*.unclaimed", "CONNECT-001*"}
	return rows(areas,
		Mutant{Fault: FeaturesFeigned, Check: "DENY-008.unclaimed", Kind: oracle.OriginDial, Entry: Bare},
		Mutant{Fault: FeaturesFeigned, Check: "HOST-017.unclaimed", Kind: oracle.OriginDial, Entry: Bare},
		Mutant{Fault: FeaturesFeigned, Check: "HOST-018.unclaimed", Kind: oracle.OriginDial, Entry: Bare},
		Mutant{Fault: FeaturesFeigned, Check: "ADDR-014.unclaimed", Kind: oracle.OriginDial, Entry: Bare},
		Mutant{Fault: FeaturesFeigned, Check: "PORT-004.unclaimed", Kind: oracle.OriginDial, Entry: Bare},
		Mutant{Fault: SocketBestEffort, Check: "BRIDGE-010.unclaimed", Kind: oracle.Socket, Entry: Bare},
	)
}
