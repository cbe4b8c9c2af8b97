// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package proxycore is an HTTP CONNECT proxy (RFC 9110 section 9.3.6) that lets
// its clients reach the hosts on an allowlist and nothing else. It is made to be
// embedded: in an agent runner, a CI worker, a build tool.
//
// The example of this package is a complete program. In short:
//
//	filter, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{"github.com", "*.github.com"}})
//	// every mistake in the patterns is in err
//	h, err := proxycore.BuiltIn{Config: proxycore.Config{Filter: filter}}.Start(ctx)
//	// err, or it is listening
//	defer h.Close()
//	cmd.Env = h.Environ(os.Environ())
//
// # What happens to a request
//
// The head is read strictly, within a size and a time limit; the target is
// judged by the [Filter]; the name is looked up, once; every address is judged;
// a checked address is dialled; only then the client is answered 200, and bytes
// flow both ways until both directions have ended. The steps never change their
// order, and each refuses with a [Reason] of its own, which is in the reply (status,
// body and Proxy-Status, RFC 9209) and in the [Record]. A request that the
// policy refuses causes no name lookup and no connection.
//
// Never dialled, whatever the patterns say: the proxy's own listeners. Dialled
// only with an address pattern: special-purpose addresses, and the addresses of
// the host's own interfaces. Names are asked absolutely, localhost never is, and
// the proxy variables of the process's own environment are not looked at unless
// [UpstreamFromEnvironment] is asked to.
//
// # Going through another proxy
//
// With [Config].Upstream (or Route) every connection goes through another proxy,
// made by [ParseUpstream]: an HTTP one, in the clear, inside TLS or over a Unix
// socket, or a SOCKS 5 one. The policy is applied here first, and the upstream
// sees nothing of what it refuses. There is no way past an upstream: when it fails,
// the request fails. By default it is sent the name, and then nobody here judges
// the address; see [Lookup]. The upstream itself is no target, nor is this proxy its
// own upstream; a longer circle of proxies is not noticed, but ends with DialTimeout
// or [Config].MaxConns.
//
// # Programs that know nothing of a proxy
//
// [Handle.Capture] takes the sockets of a sandbox in which every address is local.
// Its connections to anywhere are treated as CONNECT requests, and its DNS queries,
// whichever server they are for, are answered here, for admitted names, with
// addresses that stand for the name and for nothing else (198.18.0.0/15 and
// fd73:616c:6c79::/48). No query leaves the process: an admitted name is looked up
// when it is connected to, any other one never. Making such a sandbox is the work of
// the bridge module.
//
// # When something fails
//
// The package fails closed. No filter denies everything; a lookup with one bad
// address refuses all; a record that cannot be kept ends the proxy; and a proxy
// that has ended refuses connections and never lets them past. What a caller
// holds is a [Handle]: the same for this proxy and for any other one that
// [NewHandle] wraps. Its Done and Err report an unexpected end.
//
// # What it is not
//
// It does not forward plain HTTP (such requests get 405), does not intercept TLS,
// and does not keep a program from going around it: that is the work of a network
// namespace, see the bridge module beside this one. The environment variables of
// [Environ] are how well-behaved programs find the proxy, not what enforces it.
package proxycore
