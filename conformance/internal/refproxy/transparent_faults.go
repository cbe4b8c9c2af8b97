// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

// Faults of transparent sandboxes.
const (
	NotTransparent      Fault = "not-transparent"       // nothing is captured
	CaptureIPv4Only     Fault = "capture-ipv4-only"     // IPv6 leads nowhere
	NamesAllAnswered    Fault = "names-all-answered"    // names that are not admitted get an address too
	NamesForwarded      Fault = "names-forwarded"       // they are passed on to the host's name server
	NamesRefused        Fault = "names-refused"         // they are answered REFUSED
	ReasonsUnsaid       Fault = "reasons-unsaid"        // without an extended error
	OneResolver         Fault = "one-resolver"          // only the resolver of /etc/resolv.conf answers
	StreamsMissing      Fault = "streams-missing"       // no resolver answers over TCP
	TypesForwarded      Fault = "types-forwarded"       // only queries for addresses stay
	MalformedForwarded  Fault = "malformed-forwarded"   // what cannot be read is passed on
	DiesOfMalformed     Fault = "dies-of-malformed"     // or ends the name server
	ResponsesAnswered   Fault = "responses-answered"    // what is a response is answered as if it were a query
	ResolvesAtLookup    Fault = "resolves-at-lookup"    // an allowed name is resolved when it is looked up
	TypesNotFound       Fault = "types-not-found"       // an allowed name has addresses, and for other types does not exist
	CaseFolded          Fault = "case-folded"           // the question comes back in lower case
	EDNSIgnored         Fault = "edns-ignored"          // no OPT record in answers
	AddressesShared     Fault = "addresses-shared"      // after a few names the pool begins anew
	AddressesChange     Fault = "addresses-change"      // every answer has another address, and the last one counts
	LastNameWins        Fault = "last-name-wins"        // addresses nobody was given lead to the last name asked for
	NamesShared         Fault = "names-shared"          // what one sandbox was given leads there from all
	NamesMixed          Fault = "names-mixed"           // an address leads to the name that was last given it in any sandbox
	CapturedUnfiltered  Fault = "captured-unfiltered"   // the policy is not asked for what comes out of a sandbox
	LiteralsNotCaptured Fault = "literals-not-captured" // only addresses of the pool lead anywhere
	EveryPortFeigned    Fault = "every-port-feigned"    // name:* is taken, and two ports are captured
	GreedyPorts         Fault = "greedy-ports"          // ports of development servers are captured, too
	EarlyEndRefused     Fault = "early-end-refused"     // a client that ends its side early is taken for gone
	CaptureHangs        Fault = "capture-hangs"         // a refused connection stays
	FailureHangs        Fault = "failure-hangs"         // one whose target cannot be reached does
	AnswersInHTTP       Fault = "answers-in-http"       // the client is sent the refusal
	EndsInOrder         Fault = "ends-in-order"         // a refused connection ends as if it were over
	CaptureKept         Fault = "capture-kept"          // what has been captured outlives the client
	UDPSwallowed        Fault = "udp-swallowed"         // datagrams to port 443 are taken, and that is all
	UDPRelayed          Fault = "udp-relayed"           // they are sent on
	PoolNotTranslated   Fault = "pool-not-translated"   // the proxy inside takes the pool's addresses for addresses
	LocalhostUnknown    Fault = "localhost-unknown"     // localhost does not exist
)

// forwards says that queries leave the sandbox in some way.
func (s Faults) forwards() bool {
	return s.Has(ResolvesOnHost) || s.Has(NamesForwarded) || s.Has(TypesForwarded) || s.Has(MalformedForwarded) || s.Has(ResolvesAtLookup)
}
