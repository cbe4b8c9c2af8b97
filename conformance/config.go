// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"io"
	"time"
)

// Config is what the suite wants an instance to enforce. The zero value is a proxy on an ephemeral
// port of the loopback interface that denies everything.
type Config struct {
	// Allow and Deny are policy lines in the grammar of SPEC.md, section "Policy lines": host names,
	// with the features also wildcards, ports and addresses. Deny wins. An empty Allow denies all.
	Allow, Deny []string

	// Port is the TCP port of 127.0.0.1 to listen on; 0 means a free one of the backend's choice. Only
	// backends with the feature TCP are asked for a port other than 0.
	Port int

	// SocketPath is where the unix socket has to be made, an absolute path; "" means that none is
	// asked for (a backend whose only entry is a socket then makes one of its own below Dir). A
	// backend without the feature Unix that is asked for one must return an error.
	SocketPath string

	// HeadTimeout is how long a client may take to send the head of its request; 0 means the backend's
	// default.
	HeadTimeout time.Duration

	// Upstream is the proxy that every allowed connection has to be made through; nil means that targets
	// are dialled directly. A backend that does not claim the feature its scheme needs must return an
	// error: to ignore it is to leave the way its operator wanted.
	Upstream *Upstream

	// Child is the proxy program that the instance has to start and to stand for; nil means the
	// backend's own proxy. A backend without the feature Launcher that is asked for one must return an
	// error: somebody relies on the program that was named.
	Child *Child

	// Transparent says that the sandboxes of Instance.Launch have to be transparent: a program that knows nothing of
	// proxies resolves the allowed names and connects to them as if it had a network. A backend without the feature
	// Transparent that is asked for it must return an error: its programs would run without one.
	Transparent bool

	// Dir is a scratch directory, empty, of mode 0700, removed by the suite after the instance's Stop.
	Dir string

	// Log takes whatever the proxy says; the suite shows its end with a failure. Safe for concurrent
	// use, never nil.
	Log io.Writer
}

// Upstream is a proxy that stands between an instance and the Internet. The zero value, an empty URL, is one of
// those no instance may start with.
type Upstream struct {
	// URL is http://host:port (feature UpstreamHTTP), https://host:port (UpstreamTLS), socks5h://host:port
	// (UpstreamSOCKS) or unix:///path (UpstreamUnix: plain HTTP over a socket). It never has credentials in it.
	// The suite also gives URLs that are none of these, for which Start must return an error.
	URL string

	// User and Password are the credentials for it, both empty for none: Basic for HTTP (RFC 7617), RFC 1929
	// for SOCKS. Only backends with the feature UpstreamAuth are given any; others must return an error.
	User, Password string

	// CAFile is the path of the PEM file with the certificate authority that an https upstream's certificate
	// has to be signed by; "" means the system's.
	CAFile string
}
