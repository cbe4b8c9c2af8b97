// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"runtime"

	socks5 "golang.org/x/net/proxy"
)

// through connects to the upstream at proxies and asks it for t. When ctx ends
// first, nothing is left of it.
func (u *Upstream) through(ctx context.Context, proxies []netip.Addr, t Target) (net.Conn, upstreamReply, error) {
	raw, err := u.connect(ctx, proxies)
	if err != nil {
		return nil, upstreamReply{}, connectError(err)
	}
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(aLongTimeAgo) })
	conn, reply, err := u.request(ctx, raw, t)
	if !stop() && (err == nil || errors.Is(ctx.Err(), context.Canceled)) {
		err = cutError(ctx.Err()) // not as slow as the deadline that ended it makes it look
	}
	if err != nil {
		raw.Close()
		return nil, reply, err
	}
	return conn, reply, nil
}

// connect makes the connection to the upstream.
func (u *Upstream) connect(ctx context.Context, proxies []netip.Addr) (net.Conn, error) {
	if u.scheme == "unix" {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", u.socketPath())
		runtime.KeepAlive(u) // and with it the descriptor that may be in the path
		return conn, err
	}
	conn, _, err := race(ctx, dialOrder(proxies), u.port, func(ctx context.Context, ap netip.AddrPort) dialed { return plainAttempt(ctx, ap, 0) })
	return conn, err
}

// request does everything on a new connection to the upstream. conn is raw or
// what runs over it. The caller ends waits by raw's deadline, and closes raw when
// there is an error.
func (u *Upstream) request(ctx context.Context, raw net.Conn, t Target) (conn net.Conn, reply upstreamReply, err error) {
	switch u.scheme {
	case "socks5h":
		return raw, reply, u.socks(ctx, raw, t)
	case "https":
		secure := newTLSConn(raw, u.tls)
		if err := secure.Handshake(); err != nil {
			return nil, reply, tlsError(err)
		}
		conn = secure
	default:
		conn = raw
	}
	if _, err := conn.Write(u.connectHead(t)); err != nil {
		return nil, reply, cutError(err)
	}
	reply, err = readUpstreamReply(conn, maxReplyHead)
	return conn, reply, err
}

// connectHead is the request for t (RFC 9110 section 9.3.6). Nothing of the
// client's own request is in it but the target, in canonical form.
func (u *Upstream) connectHead(t Target) []byte {
	target := t.String()
	b := []byte("CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n")
	if u.credentials != nil {
		user, password := u.credentials()
		b = append(b, "Proxy-Authorization: Basic "...)
		b = base64.StdEncoding.AppendEncode(b, []byte(user+":"+password))
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// socks asks for t as RFC 1928 says. The library reads no byte beyond the reply.
func (u *Upstream) socks(ctx context.Context, raw net.Conn, t Target) error {
	var auth *socks5.Auth
	if u.credentials != nil {
		user, password := u.credentials()
		auth = &socks5.Auth{User: user, Password: password}
	}
	conn := &socksConn{Conn: raw, authenticates: auth != nil}
	d, err := socks5.SOCKS5("tcp", u.address(), auth, conn)
	if err != nil {
		return socksError(err, false)
	}
	// It also wraps the connection, which would cost the relay the descriptor.
	if _, err = d.(socks5.ContextDialer).DialContext(ctx, "tcp", t.String()); err != nil {
		return socksError(err, conn.asked)
	}
	return nil
}

// socksConn is a connection that is its own dialer. It notes whether the request
// has been sent, since what fails before is not about the target, and it refuses
// a method that was not offered, which the library would take for none.
type socksConn struct {
	net.Conn
	authenticates bool
	asked         bool
	greeting      []byte // the first two bytes of the upstream: the version and the method
}

func (c *socksConn) DialContext(context.Context, string, string) (net.Conn, error) { return c, nil }

// Dial implements [socks5.Dialer].
func (c *socksConn) Dial(string, string) (net.Conn, error) { return c, nil }

func (c *socksConn) Write(b []byte) (int, error) {
	// The greeting has at most 4 bytes, and credentials begin with 1.
	c.asked = c.asked || len(b) > 4 && b[0] == 5
	return c.Conn.Write(b)
}

// The methods that may be offered (RFC 1928 section 3).
const (
	methodNone     = 0x00
	methodPassword = 0x02
)

var errMethodNotOffered = errors.New("the method it chose was not offered (RFC 1928 section 3)")

func (c *socksConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	missing := 2 - len(c.greeting)
	if missing <= 0 {
		return n, err
	}
	c.greeting = append(c.greeting, b[:min(n, missing)]...)
	if len(c.greeting) == 2 {
		if m := c.greeting[1]; m != methodNone && (m != methodPassword || !c.authenticates) {
			return 0, errMethodNotOffered
		}
	}
	return n, err
}
