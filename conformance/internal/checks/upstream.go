// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"bufio"
	"fmt"
	"io"
	"slices"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
)

func upstreamChecks() []check.Check {
	return slices.Concat(
		chainChecks(), chainFilterChecks(), chainFailureChecks(), chainCredentialChecks(), chainStreamChecks(),
		chainTLSChecks(), chainSocksChecks(), chainUnixChecks(), chainStartChecks(),
	)
}

// needing adds features to checks; those of what is not claimed need nothing.
func needing(feature []string, all ...check.Check) []check.Check {
	for i := range all {
		if all[i].Unclaimed == "" {
			all[i].Needs = append(slices.Clone(feature), all[i].Needs...)
		}
	}
	return all
}

var (
	viaHTTP  = []string{"upstream"}
	viaTLS   = []string{"upstream-tls", "upstream"}
	viaSOCKS = []string{"upstream-socks5h", "upstream"}
	viaUnix  = []string{"upstream-unix", "upstream"}
	withAuth = []string{"upstream-auth", "upstream"}
)

// hop is one request to an instance behind the upstream, and what the other witnesses saw of it.
type hop struct {
	target string
	r      probe.Response
	raw    string // all that the client received
	echo   error  // of an open tunnel
	visits []world.Visit
	seen   world.Seen
}

// hopTo sends a CONNECT for target and, if a tunnel opens, an echo through it.
func hopTo(x *check.X, ch check.Chain, target string) hop {
	return hopBy(x, ch, target, check.Head(target))
}

// hopBy is hopTo with a head of the check's own.
func hopBy(x *check.X, ch check.Chain, target, head string) hop {
	h := hop{target: target}
	mark, up := x.Mark(), x.UpMark(ch.Up)
	c := x.Client(ch.Proxy)
	all := &record{r: c.Conn}
	c.R = bufio.NewReader(all)
	c.Send(head)
	h.r = c.AnswerWithin("CONNECT", x.Patience())
	if h.r.OK() {
		h.echo = c.Echo("echo of " + target + "\n")
	}
	h.seen, h.visits = x.Since(mark, ch.Proxy), x.Visits(ch.Up, up)
	c.Close()
	h.raw = string(all.got)
	return h
}

// record keeps what is read.
type record struct {
	r   io.Reader
	got []byte
}

func (r *record) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.got = append(r.got, p[:n]...)
	return n, err
}

// lines puts the hop into the record of the check.
func (h hop) lines(x *check.X) {
	x.Line("Sent", "CONNECT %.120q", h.target)
	x.Line("Got", "%s", h.r)
	x.Line("Upstream", "%s", visited(h.visits))
	x.Line("Origin", "%s; %d connection(s) of the upstream", h.seen.Origin(), len(h.seen.Chained))
}

func visited(all []world.Visit) string {
	text := fmt.Sprintf("%d connection(s)", len(all))
	for _, v := range all {
		text += "; " + v.String()
	}
	return text
}

// asked are the visits with a request.
func asked(all []world.Visit) (out []world.Visit) {
	for _, v := range all {
		if v.Asked {
			out = append(out, v)
		}
	}
	return out
}

// mustStay fails the check when anything but the upstream was connected to.
func (h hop) mustStay(x *check.X) {
	if len(h.seen.Dials()) > 0 {
		h.lines(x)
		x.Fail(oracle.OriginDial, "%.80q goes past the upstream: %s", h.target, h.seen.Origin())
	}
}

// mustChain fails the check when the tunnel does not stand, or was not made by one request to the upstream.
func (h hop) mustChain(x *check.X) {
	h.mustStay(x)
	switch {
	case !h.r.OK():
		h.lines(x)
		x.Fail(oracle.ClientStatus, "%.80q through the upstream: %s, want 200", h.target, h.r)
	case h.echo != nil:
		h.lines(x)
		x.Fail(oracle.ClientStream, "%.80q through the upstream: %v", h.target, h.echo)
	case len(asked(h.visits)) != 1:
		h.lines(x)
		x.Fail(oracle.Upstream, "%.80q: the upstream was asked %d times, want once", h.target, len(asked(h.visits)))
	case len(h.seen.Chained) != 1:
		h.lines(x)
		x.Fail(oracle.OriginDial, "%.80q: the origin saw %d connections of the upstream's, want one", h.target, len(h.seen.Chained))
	}
}

// mustFail fails the check when the upstream's failure is not the client's: anything but a 5xx, or another way.
func (h hop) mustFail(x *check.X, what string) {
	h.mustStay(x)
	if h.r.Status/100 != 5 {
		h.lines(x)
		x.Fail(oracle.ClientStatus, "%s: the client got %s, want 502 or 504", what, h.r)
	}
}
