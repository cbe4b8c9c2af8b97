// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

// Faults of the way through an upstream.
const (
	UpstreamIgnored      Fault = "upstream-ignored"       // goes directly, always
	UpstreamFallsBack    Fault = "upstream-falls-back"    // goes directly when the upstream is down
	LiteralsDirect       Fault = "literals-direct"        // addresses go directly
	PortsDirect          Fault = "ports-direct"           // what is not for port 443 goes directly
	SecondDirect         Fault = "second-direct"          // a target goes directly from the second time on
	CrowdDirect          Fault = "crowd-direct"           // with eight connections the next one goes directly
	SocketDirect         Fault = "socket-direct"          // what comes through the socket goes directly
	SandboxDirect        Fault = "sandbox-direct"         // what comes out of the sandbox goes directly
	NoProxyObeyed        Fault = "no-proxy-obeyed"        // NO_PROXY=* goes directly
	ChainedTwice         Fault = "chained-twice"          // asks the upstream twice and uses the second
	ChainHostWrong       Fault = "chain-host-wrong"       // the upstream's own name in the field Host
	ChainedFirst         Fault = "chained-first"          // asks the upstream, then the policy
	ChainLiteralsOpen    Fault = "chain-literals-open"    // addresses are the upstream's to judge
	ChainMalformed       Fault = "chain-malformed"        // malformed targets are the upstream's to judge
	ChainEmptyPolicy     Fault = "chain-empty-policy"     // an empty policy leaves all to the upstream
	ChainResolves        Fault = "chain-resolves"         // names are looked up and sent as addresses
	UpstreamStaysDown    Fault = "upstream-stays-down"    // after one failure every request fails
	ChainAnyAnswer       Fault = "chain-any-answer"       // whatever the upstream answers opens the tunnel
	ChainInterim         Fault = "chain-interim"          // 1xx opens the tunnel
	UpstreamKept         Fault = "upstream-kept"          // the connection is kept when the upstream has refused
	ChainAnswerShown     Fault = "chain-answer-shown"     // the upstream's refusal is passed on
	ChainCutHead         Fault = "chain-cut-head"         // the end of the connection ends the head
	ChainGarbage         Fault = "chain-garbage"          // what is no status line is 200
	ChainHeadEndless     Fault = "chain-head-endless"     // the head of an answer has no limit
	ChainInterimEndless  Fault = "chain-interim-endless"  // nor has the number of interim ones
	UpstreamPatient      Fault = "upstream-patient"       // waits for ever
	ChainTimeRenewed     Fault = "chain-time-renewed"     // every byte begins the time-out anew
	UpstreamLoginMissing Fault = "upstream-login-missing" // the credentials are not sent
	LoginToOrigin        Fault = "login-to-origin"        // or sent to the origin too
	LoginShown           Fault = "login-shown"            // or named in refusals
	LoginLogged          Fault = "login-logged"           // or in the log
	LoginInArguments     Fault = "login-in-arguments"     // or given to a helper as an argument
	LoginInSandbox       Fault = "login-in-sandbox"       // or to what runs in the sandbox
	ClientLoginChained   Fault = "client-login-chained"   // the client's credentials go on to the upstream
	ChainBytesLost       Fault = "chain-bytes-lost"       // what came with the answer is dropped
	ChainOneRead         Fault = "chain-one-read"         // an answer that does not come at once is none
	ChainFraming         Fault = "chain-framing"          // a 2xx has the body it announces
	TLSUnverified        Fault = "tls-unverified"         // any certificate will do
	TLSInClear           Fault = "tls-in-clear"           // https is http
	TLSFallsBack         Fault = "tls-falls-back"         // when TLS fails it is tried without
	TLSEndLost           Fault = "tls-end-lost"           // the client's end is not passed on in TLS
	SocksLiteralsNamed   Fault = "socks-literals-named"   // addresses are sent as names
	SocksBoundFixed      Fault = "socks-bound-fixed"      // every reply is ten bytes long
	SocksReplyIgnored    Fault = "socks-reply-ignored"    // every code opens the tunnel
	SocksCutReply        Fault = "socks-cut-reply"        // so does half a reply
	SocksVersionIgnored  Fault = "socks-version-ignored"  // so does a reply of another version
	SocksMethodIgnored   Fault = "socks-method-ignored"   // any method means none
	SocksLoginIgnored    Fault = "socks-login-ignored"    // the answer to the credentials is not looked at
	BadURLIgnored        Fault = "bad-url-ignored"        // an upstream that cannot be understood is none
)
