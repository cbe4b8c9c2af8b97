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

	// Dir is a scratch directory, empty, of mode 0700, removed by the suite after the instance's Stop.
	Dir string

	// Log takes whatever the proxy says; the suite shows its end with a failure. Safe for concurrent
	// use, never nil.
	Log io.Writer
}
