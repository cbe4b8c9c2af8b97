// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import "slices"

// Fault names one thing the reference proxy does wrong.
type Fault string

// Faults is what a reference proxy does wrong; nil is nothing.
type Faults []Fault

// Has reports whether f is among the faults.
func (s Faults) Has(f Fault) bool { return slices.Contains(s, f) }

// With returns the faults and f.
func (s Faults) With(f Fault) Faults { return append(slices.Clone(s), f) }

// Faults of the policy.
const (
	AllowAll           Fault = "allow-all"            // allows everything
	DenyAll            Fault = "deny-all"             // refuses everything
	DenyIgnored        Fault = "deny-ignored"         // deny lines have no effect
	DenyOverreaches    Fault = "deny-overreaches"     // one deny line denies everything
	FeaturesIgnored    Fault = "features-ignored"     // lines with stars, ports or addresses admit nothing
	BadLinesIgnored    Fault = "bad-lines-ignored"    // policy lines it cannot read are left out
	SharedPolicy       Fault = "shared-policy"        // the newest instance's policy holds for all
	CaseSensitive      Fault = "case-sensitive"       // names compare byte by byte
	RuleCaseKept       Fault = "rule-case-kept"       // policy lines keep their case
	SuffixMatch        Fault = "suffix-match"         // evilallowed.example.com passes for allowed.example.com
	PrefixMatch        Fault = "prefix-match"         // so does allowed.example.com.evil.example.net
	SubdomainImplied   Fault = "subdomain-implied"    // a name implies what is below it, and above
	WildcardApex       Fault = "wildcard-apex"        // *.x admits x
	WildcardDeep       Fault = "wildcard-deep"        // *.x admits a.b.x
	PortIgnored        Fault = "port-ignored"         // the policy forgets the port
	OnlyHTTPS          Fault = "only-https"           // a line without a port means 443 alone
	OnlyHTTP           Fault = "only-http"            // or 80 alone
	UpgradesHTTP       Fault = "upgrades-http"        // dials 443 where 80 was asked for
	AddressPortIgnored Fault = "address-port-ignored" // address lines forget the port
	LocalhostOpen      Fault = "localhost-open"       // localhost needs no permission
	LiteralsOpen       Fault = "literals-open"        // addresses need no permission
	PublicLiteralsOpen Fault = "public-literals-open" // nor do those it takes for public
	WrappersOpen       Fault = "wrappers-open"        // IPv4 addresses wrapped in IPv6 are taken for public
	AnyAdmitsLiterals  Fault = "any-admits-literals"  // * admits addresses too
	AddressesUnchecked Fault = "addresses-unchecked"  // what a name resolves to is not looked at
	FirstAnswerChecked Fault = "first-answer-checked" // only the first answer is, and the last is dialled
	MixedFiltered      Fault = "mixed-filtered"       // bad answers are dropped and the rest is used
	LooksUpTwice       Fault = "looks-up-twice"       // one answer is checked and another dialled
	OnlyIPv4           Fault = "only-ipv4"            // names without IPv4 address are unreachable
	DialsItself        Fault = "dials-itself"         // its own listener is a target like others
	HostFieldDialled   Fault = "host-field-dialled"   // the Host field is resolved and dialled
	HostFieldDecides   Fault = "host-field-decides"   // the policy is asked about the Host field
	TrustsAfterRefusal Fault = "trusts-after-refusal" // a connection is judged once
	DialsFirst         Fault = "dials-first"          // dials, then asks the policy
	ResolvesFirst      Fault = "resolves-first"       // resolves, then asks the policy
	EnvironmentProxy   Fault = "environment-proxy"    // dials through the proxy of the host's environment
)

// Faults of the parser: each accepts, or mends, what has to be refused.
const (
	DotKept             Fault = "dot-kept"              // a trailing dot makes another name
	DotsStripped        Fault = "dots-stripped"         // any number of trailing dots is removed
	UserinfoStripped    Fault = "userinfo-stripped"     // what is before @ is dropped
	ControlsStripped    Fault = "controls-stripped"     // control characters and spaces are dropped
	SpacesInTarget      Fault = "spaces-in-target"      // spaces in the target are dropped
	UnicodeStripped     Fault = "unicode-stripped"      // what is not ASCII is dropped
	PercentDecoded      Fault = "percent-decoded"       // %61 becomes a
	BracketsStripped    Fault = "brackets-stripped"     // brackets round a name are dropped
	DelimitersCut       Fault = "delimiters-cut"        // only what follows / \ # ? counts
	OnePortTooMany      Fault = "one-port-too-many"     // first and last of a:b:c count
	EmptyLabelsSqueezed Fault = "empty-labels-squeezed" // empty labels are dropped
	LongNamesCut        Fault = "long-names-cut"        // the end of an overlong name counts
	UnderscoreRefused   Fault = "underscore-refused"    // names with an underscore are malformed
	AtonDialled         Fault = "aton-dialled"          // 127.1 is an address, and allowed ones are dialled
	OctetsWrap          Fault = "octets-wrap"           // 256 is 0
	ZoneStripped        Fault = "zone-stripped"         // what follows % in brackets is dropped
	PortDefaulted       Fault = "port-defaulted"        // no port means 443
	PortLenient         Fault = "port-lenient"          // +443, 0443, 443abc and 65979 are 443
	MalformedNotFound   Fault = "malformed-not-found"   // malformed requests get 404
	SegmentsRefused     Fault = "segments-refused"      // a head that does not come at once is malformed
	LinesLenient        Fault = "lines-lenient"         // any version, any spacing
	FieldsLenient       Fault = "fields-lenient"        // fields that are none are skipped
	LineFeedsAccepted   Fault = "line-feeds-accepted"   // bare line feeds and carriage returns end lines
	HostUnchecked       Fault = "host-unchecked"        // no Host, two Hosts, any Host
	FramingIgnored      Fault = "framing-ignored"       // a CONNECT may announce a body
	CRLFRefused         Fault = "crlf-refused"          // an empty line before the request is malformed
	EOFEndsHead         Fault = "eof-ends-head"         // the end of the connection ends the head
	TimeoutEndsHead     Fault = "timeout-ends-head"     // so does the time-out
	MethodCaseIgnored   Fault = "method-case-ignored"   // connect is CONNECT
	PlainForwarded      Fault = "plain-forwarded"       // GET reaches the origin, whatever the policy says
	DiesOfGarbage       Fault = "dies-of-garbage"       // a head that is no HTTP ends the proxy
	NoHeadLimit         Fault = "no-head-limit"
	NoHeadTimeout       Fault = "no-head-timeout"
	TunnelHeadTimeout   Fault = "tunnel-head-timeout"  // the time-out of the head goes on in the tunnel
	HeadTimeoutRenewed  Fault = "head-timeout-renewed" // every byte of a head begins its time-out anew
	FewConnections      Fault = "few-connections"      // 16 connections at a time, the others wait
)

// Faults of the answers.
const (
	DenialSilent           Fault = "denial-silent"          // a denial is the end of the connection
	DenialTunnels          Fault = "denial-tunnels"         // a denial is 200, then the end
	DenialNotFound         Fault = "denial-not-found"       // a denial is 404
	MethodNotImplemented   Fault = "method-not-implemented" // another method is 501
	AllowMissing           Fault = "allow-missing"          // 405 without Allow
	BodySilent             Fault = "body-silent"            // the refusal does not name the target
	BodyTruncated          Fault = "body-truncated"         // the body is shorter than announced
	ReasonMissing          Fault = "reason-missing"         // no Proxy-Status
	EarlyAnswer            Fault = "early-answer"           // 200 before the dial
	AnswerWithLength       Fault = "answer-with-length"     // 200 with Content-Length
	AnswerHTTP10           Fault = "answer-http10"          // 200 as HTTP/1.0
	DialFailureForbidden   Fault = "dial-failure-forbidden" // 403 where the dial failed
	LookupFailureForbidden Fault = "lookup-failure-forbidden"
	TargetEchoed           Fault = "target-echoed" // a refusal is a page with the target as it came
	RefusalHangs           Fault = "refusal-hangs" // says Connection: close, and does not
)

// Faults of the relay.
const (
	BytesLost      Fault = "bytes-lost"       // what came with the head is dropped
	EndsBoth       Fault = "ends-both"        // one direction's end ends the other
	UpEndLost      Fault = "up-end-lost"      // the client's end is not passed on
	DownEndLost    Fault = "down-end-lost"    // nor the origin's
	WaitsForClient Fault = "waits-for-client" // relays the origin's bytes once the client has sent one
	Truncates      Fault = "truncates"        // ends each direction after 64 KiB
	FlipsByte      Fault = "flips-byte"       // one bit is wrong behind the first MiB
	MixesTunnels   Fault = "mixes-tunnels"    // bytes of one tunnel get into another
	StallsOthers   Fault = "stalls-others"    // one slow reader stalls every tunnel
	OriginKept     Fault = "origin-kept"      // the origin's connection outlives the client's
	ClientKept     Fault = "client-kept"      // and the other way round
	InjectsAnswer  Fault = "injects-answer"   // an HTTP answer in the middle of the tunnel

	CredentialsForwarded Fault = "credentials-forwarded" // Proxy-Authorization is passed on to the origin
	FirstByteLost        Fault = "first-byte-lost"       // one tunnel in 32 loses its first byte
)

// Faults of the life of an instance.
const (
	FeaturesFeigned   Fault = "features-feigned" // takes lines it does not understand and admits what they might mean
	StartFails        Fault = "start-fails"
	StartHangs        Fault = "start-hangs"
	StartPanics       Fault = "start-panics"
	WrongAddress      Fault = "wrong-address"       // reports 0.0.0.0
	ListensEverywhere Fault = "listens-everywhere"  // listens on every address
	PortNotHonoured   Fault = "port-not-honoured"   // takes a port of its own choice
	BusyPortMoves     Fault = "busy-port-moves"     // takes another when the port is busy
	KeepsAccepting    Fault = "keeps-accepting"     // Stop returns, the port still accepts
	CloseKeepsTunnels Fault = "close-keeps-tunnels" // Stop leaves live tunnels alone
	CloseKeepsOrigins Fault = "close-keeps-origins" // Stop ends the clients' side only
	CloseOnce         Fault = "close-once"          // a second Stop is an error
	CloseWaits        Fault = "close-waits"         // Stop waits for what is going on
	BundleClaimed     Fault = "bundle-claimed"      // names a CA bundle
	DeathSilent       Fault = "death-silent"        // dies without a word
	SocketBestEffort  Fault = "socket-best-effort"  // goes on without the socket
	SocketUnfiltered  Fault = "socket-unfiltered"   // what comes through the socket is not judged
	SocketDeaf        Fault = "socket-deaf"         // the socket leads nowhere
	SocketLeft        Fault = "socket-left"         // Stop leaves the socket behind
	SocketOpenMode    Fault = "socket-open-mode"    // everybody may connect
	StaleRefused      Fault = "stale-refused"       // a dead socket stops the start
	RemovesFiles      Fault = "removes-files"       // whatever is at the path is removed
	RemovesLive       Fault = "removes-live"        // a live socket is taken over
	RemovesOthers     Fault = "removes-others"      // Stop removes what took the socket's place
	PathCut           Fault = "path-cut"            // an overlong path is cut
	FailedStartStays  Fault = "failed-start-stays"  // a start that failed leaves port and socket behind
)

// Faults of the sandbox.
const (
	NetworkKept       Fault = "network-kept"       // the network namespace is the host's
	VariablesMissing  Fault = "variables-missing"  // no proxy variables inside
	LowerCaseMissing  Fault = "lower-case-missing" // only the upper-case ones
	NoProxyWide       Fault = "no-proxy-wide"      // NO_PROXY names private ranges
	DoorFails         Fault = "door-fails"         // nothing answers at the proxy's address inside
	DoorLate          Fault = "door-late"          // the command starts before the proxy is reachable
	StatusLost        Fault = "status-lost"        // the exit status is always 0
	SignalLost        Fault = "signal-lost"        // death by signal is status 1
	ChildLeft         Fault = "child-left"         // background children outlive the command
	DescriptorsLeaked Fault = "descriptors-leaked" // the host's descriptors are inherited
	CapabilitiesKept  Fault = "capabilities-kept"  // the command is root of its namespace
	PrivilegesReturn  Fault = "privileges-return"  // no_new_privs is not set
	OutlivesLauncher  Fault = "outlives-launcher"  // the command outlives the process that started it
	OutputLost        Fault = "output-lost"        // standard output is not passed through
	FailsOpen         Fault = "fails-open"         // without the proxy the command gets the network
	VariablesOnly     Fault = "variables-only"     // there is no sandbox, only the variables
	HostVariablesWin  Fault = "host-variables-win" // proxy variables of the host stay as they are
	RelayLeft         Fault = "relay-left"         // a relay outlives the command
	ResolvesOnHost    Fault = "resolves-on-host"   // a resolver inside carries every query to the host's
)
