// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/conformance/internal/world"
	"github.com/sallyport-dev/sallyport/fixtures"
)

// AllowedTarget is the target every policy but "none" and "any other port" lets through; DeniedTarget is
// on no list.
const (
	AllowedHost   = "allowed.example.com"
	AllowedTarget = AllowedHost + ":443"
	DeniedTarget  = "denied.example.net:443"
)

// Head is a plain CONNECT request.
func Head(target string) string {
	return "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n\r\n"
}

// Client is the client's end of a connection to the proxy.
type Client struct {
	probe.Conn
	R *bufio.Reader
	x *X
}

// Client connects to p.
func (x *X) Client(p *Proxy) *Client {
	c := p.MustDial()
	return &Client{Conn: c, R: bufio.NewReader(c), x: x}
}

// Send writes text. A write that fails is no finding yet: a proxy may refuse before it has read all, and
// then its answer counts.
func (c *Client) Send(text string) {
	c.SetWriteDeadline(time.Now().Add(c.x.Bound()))
	_, _ = io.WriteString(c, text)
}

// Answer reads one answer within the bound.
func (c *Client) Answer(method string) probe.Response { return c.AnswerWithin(method, c.x.Bound()) }

// AnswerWithin reads one answer within d.
func (c *Client) AnswerWithin(method string, d time.Duration) probe.Response {
	c.SetReadDeadline(time.Now().Add(d))
	return probe.ReadResponse(c.R, method)
}

// Ask sends a CONNECT for target and reads the answer.
func (c *Client) Ask(target string) probe.Response {
	c.Send(Head(target))
	return c.Answer("CONNECT")
}

// Echo sends text through the tunnel to an origin that echoes and says whether it came back.
func (c *Client) Echo(text string) error {
	c.Send(text)
	return c.Expect(text)
}

// Expect reads exactly text.
func (c *Client) Expect(text string) error {
	c.SetReadDeadline(time.Now().Add(c.x.Bound()))
	buf := make([]byte, len(text))
	n, err := io.ReadFull(c.R, buf)
	switch {
	case err != nil:
		return fmt.Errorf("received %d of %d bytes, then: %w", n, len(text), err)
	case string(buf) != text:
		return fmt.Errorf("received %.80q, want %.80q", buf, text)
	}
	return nil
}

// End reads until the proxy ends the connection and returns what came before; an error says that it did
// not end within d.
func (c *Client) End(d time.Duration) ([]byte, error) {
	c.SetReadDeadline(time.Now().Add(d))
	rest, err := io.ReadAll(c.R)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return rest, fmt.Errorf("the connection has not ended within %v", d)
	}
	return rest, nil
}

// Control verifies that what must work in this instance works: the allowed host, with an echo. Every
// check of a refusal calls it before and after, so that a dead proxy cannot pass for a strict one.
func (x *X) Control(p *Proxy, when string) {
	c, err := p.Dial()
	if err != nil {
		x.Fail(oracle.Control, "%s: the proxy cannot be reached: %v", when, err)
	}
	client := &Client{Conn: c, R: bufio.NewReader(c), x: x}
	defer c.Close()
	if len(p.Config.Allow) == 0 {
		// Nothing is allowed here: what has to work is the proxy itself.
		if r := client.Ask("control.example.net:443"); r.Status == 0 {
			x.Fail(oracle.Control, "%s: %s", when, r)
		}
		return
	}
	if r := client.Ask(AllowedTarget); !r.OK() {
		x.Fail(oracle.Control, "%s: CONNECT %s: %s", when, AllowedTarget, r)
	}
	if err := client.Echo("control " + when + "\n"); err != nil {
		x.Fail(oracle.Control, "%s: echo through %s: %v", when, AllowedTarget, err)
	}
	x.Line("Control", "%s worked %s", AllowedTarget, when)
}

// Tunnel is an open tunnel with both ends in the hands of the check.
type Tunnel struct {
	*Client
	Origin *fixtures.Conn
	// Response is the answer that opened it.
	Response probe.Response
}

// Tunnel opens a tunnel to the allowed host and takes its origin.
func (x *X) Tunnel(p *Proxy) *Tunnel {
	take := x.Take(AllowedTarget)
	c := x.Client(p)
	r := c.Ask(AllowedTarget)
	if !r.OK() {
		x.Fail(oracle.ClientStatus, "CONNECT %s: %s, want 200", AllowedTarget, r)
	}
	return &Tunnel{Client: c, Origin: x.Next(take), Response: r}
}

// Take hands the connections to target's address to the check until its end.
func (x *X) Take(target string) *world.Take {
	host, port, _ := strings.Cut(target, ":")
	addr := netip.MustParseAddrPort("0.0.0.0:" + port)
	t := x.World.Take(netip.AddrPortFrom(x.World.Addr(host), addr.Port()))
	x.Defer(t.Close)
	return t
}

// Next waits for the next connection at an origin; none is a finding.
func (x *X) Next(t *world.Take) *fixtures.Conn {
	ctx, cancel := x.Within()
	defer cancel()
	c, err := t.Next(ctx)
	if err != nil {
		x.Fail(oracle.OriginDial, "%v", err)
	}
	return c
}

// Receive reads exactly text at the origin.
func (x *X) Receive(c *fixtures.Conn, text string) error {
	if err := c.SetReadDeadline(time.Now().Add(x.Bound())); err != nil {
		return err
	}
	buf := make([]byte, len(text))
	n, err := io.ReadFull(c, buf)
	switch {
	case err != nil:
		return fmt.Errorf("the origin received %d of %d bytes, then: %w", n, len(text), err)
	case string(buf) != text:
		return fmt.Errorf("the origin received %.80q, want %.80q", buf, text)
	}
	return nil
}

// OriginEnd reads at the origin until its peer ends and returns what came before; an error says that it
// did not end in time.
func (x *X) OriginEnd(c *fixtures.Conn) ([]byte, error) {
	if err := c.SetReadDeadline(time.Now().Add(x.Bound())); err != nil {
		return nil, err
	}
	rest, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return rest, fmt.Errorf("the origin's connection has not ended within %v", x.Bound())
	}
	return rest, nil
}
