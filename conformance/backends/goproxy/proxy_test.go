// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package goproxy

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"syscall"
	"time"

	"github.com/elazarl/goproxy"
)

// settings is the configuration file.
type settings struct {
	Names       []string // regular expressions, see rules.Rule.Regexp
	HeadTimeout time.Duration
}

// serve runs goproxy: a handler that decides about CONNECT by name and port, one that refuses everything else, and
// a dialer that refuses special-purpose addresses when the name is resolved.
func serve(l net.Listener, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var s settings
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	var names []*regexp.Regexp
	for _, n := range s.Names {
		names = append(names, regexp.MustCompile("(?i)"+n))
	}
	p := goproxy.NewProxyHttpServer()
	p.OnRequest().HandleConnectFunc(func(target string, ctx *goproxy.ProxyCtx) (*goproxy.ConnectAction, string) {
		if allowed(names, target) {
			return goproxy.OkConnect, target
		}
		ctx.Resp = goproxy.NewResponse(ctx.Req, goproxy.ContentTypeText, http.StatusForbidden, target+" is not allowed\n")
		return goproxy.RejectConnect, target
	})
	p.OnRequest().DoFunc(func(r *http.Request, _ *goproxy.ProxyCtx) (*http.Request, *http.Response) {
		return r, notConnect(r)
	})
	p.NonproxyHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", http.MethodConnect)
		w.WriteHeader(http.StatusMethodNotAllowed)
	})
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: refuseSpecial}
	p.ConnectDial = dialer.Dial
	p.ConnectionErrHandler = answerError
	server := &http.Server{Handler: keepEarly(p), ReadHeaderTimeout: s.HeadTimeout, MaxHeaderBytes: 8 << 10}
	return server.Serve(l)
}

// keepEarly gives the bytes that net/http has read behind the head back to the connection: goproxy takes it by Hijack
// without them, and whether they had arrived by then is a matter of chance.
func keepEarly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(earlyWriter{w}, r) })
}

type earlyWriter struct{ http.ResponseWriter }

func (w earlyWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn, rw, nil
	}
	return earlyConn{tcp, rw.Reader}, rw, nil
}

// earlyConn is a *net.TCPConn still, whose halves goproxy can close.
type earlyConn struct {
	*net.TCPConn
	r *bufio.Reader
}

func (c earlyConn) Read(p []byte) (int, error)         { return c.r.Read(p) }
func (c earlyConn) WriteTo(w io.Writer) (int64, error) { return c.r.WriteTo(w) }

func notConnect(r *http.Request) *http.Response {
	resp := goproxy.NewResponse(r, goproxy.ContentTypeText, http.StatusMethodNotAllowed, "CONNECT only\n")
	resp.Header.Set("Allow", http.MethodConnect)
	return resp
}

func allowed(names []*regexp.Regexp, target string) bool {
	host, port, err := net.SplitHostPort(target)
	if err != nil || port != "443" && port != "80" {
		return false
	}
	for _, n := range names {
		if n.MatchString(host) {
			return true
		}
	}
	return false
}

var errSpecial = errors.New("special-purpose address")

// answerError answers for a dial that failed: 403 where it was the policy's doing, else 502 as the library does.
func answerError(w io.Writer, _ *goproxy.ProxyCtx, err error) {
	status := http.StatusBadGateway
	if errors.Is(err, errSpecial) {
		status = http.StatusForbidden
	}
	text := err.Error() + "\n"
	fmt.Fprintf(w, "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), len(text), text)
}

// refuseSpecial is called with every address a name has before it is dialled. The blocks are those of the IANA
// registries that netip has no predicate for.
func refuseSpecial(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	a := ap.Addr().Unmap()
	special := !a.IsGlobalUnicast() || a.IsPrivate()
	for _, p := range specialBlocks {
		special = special || p.Contains(a)
	}
	if special {
		return fmt.Errorf("%w: %s", errSpecial, a)
	}
	return nil
}

var specialBlocks = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "::/96", "64:ff9b::/96", "64:ff9b:1::/48",
	"100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10")

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}
