// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"
)

// Lookup says who looks up the names that are asked for through an upstream.
type Lookup int

const (
	// LookupUpstream sends the upstream the name; nothing is looked up here. The
	// addresses behind the name are then judged by nobody but the upstream.
	// Names in [Config].Hosts and localhost are looked up here all the same.
	LookupUpstream Lookup = iota
	// LookupHere looks the name up here, has the filter judge every answer, and
	// sends the upstream an address that was judged, never the name. When the
	// upstream cannot reach it and the name has others, those are asked for next.
	LookupHere
)

// Upstream is a proxy that the server goes through instead of dialling targets
// itself. The zero value is unusable: [ParseUpstream] makes one. It is immutable
// and may be shared. Whatever prints it prints [Upstream.String], without its
// credentials.
type Upstream struct {
	scheme string
	host   string // canonical name or IP address; "" for a Unix socket
	port   uint16
	path   string   // of the Unix socket
	dir    *os.File // set by Pinned: the directory of the Unix socket
	base   string   // with dir: the socket's name in it
	lookup Lookup
	tls    *tls.Config // for https only
	// Behind a function, because what prints values by reflection follows
	// pointers but cannot call it. Nil when there are none.
	credentials func() (user, password string)
}

// schemes are those of ParseUpstream, with the ports they default to.
var schemes = map[string]uint16{"http": 80, "https": 443, "socks5h": 1080, "unix": 0}

// ParseUpstream parses the URL of an upstream proxy:
//
//	http://[user:password@]host[:port]     CONNECT in the clear; port 80
//	https://[user:password@]host[:port]    CONNECT inside TLS; port 443
//	socks5h://[user:password@]host[:port]  SOCKS 5 (RFC 1928), names are sent; port 1080
//	unix://[user:password@]/path           CONNECT over a Unix socket
//
// host is a name or an address of this host's network, looked up anew for each
// connection; no filter judges it. User and password are percent-encoded; the
// password may be left out but for socks5h. A path other than /, a query, a
// fragment and an IPv6 zone are errors. So is everything that is not one of the
// four forms, the empty string included: no mistake means "no upstream". The error
// says nothing of what was parsed, since any part of it may be a password.
func ParseUpstream(rawURL string) (*Upstream, error) {
	u, problem := parseUpstream(rawURL)
	if problem != "" {
		return nil, errors.New("proxycore: upstream URL: " + problem)
	}
	return u, nil
}

// parseUpstream is ParseUpstream with nothing but the problem.
func parseUpstream(raw string) (u *Upstream, problem string) {
	switch {
	case raw == "":
		return nil, "it is empty; write for example http://proxy.example:3128"
	case strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return nil, "it contains a blank or a control character; percent-encode it"
	case strings.ContainsAny(raw, "?#"):
		return nil, "it has a query or a fragment; write %3F for ? and %23 for # in a user, password or path"
	}
	// The errors of url.Parse quote what they could not parse.
	parsed, err := url.Parse(raw)
	if err != nil {
		return nil, "it is not a URL; write for example http://proxy.example:3128, and percent-encode what is special in a user or password"
	}
	port, ok := schemes[parsed.Scheme]
	if !ok || parsed.Opaque != "" || !strings.HasPrefix(raw[len(parsed.Scheme):], "://") {
		if strings.HasPrefix(parsed.Scheme, "socks") {
			return nil, "of the SOCKS schemes only socks5h:// is supported, with which names are sent to the proxy"
		}
		return nil, "it begins with none of the supported http://, https://, socks5h:// and unix://"
	}
	u = &Upstream{scheme: parsed.Scheme, port: port}
	if u.scheme == "unix" {
		problem = u.setPath(parsed)
	} else {
		problem = u.setHost(parsed)
	}
	if problem == "" && parsed.User != nil {
		password, _ := parsed.User.Password()
		problem = u.setCredentials(parsed.User.Username(), password)
	}
	return u, problem
}

// setHost takes the host and port of all but Unix sockets.
func (u *Upstream) setHost(parsed *url.URL) (problem string) {
	if parsed.Path != "" && parsed.Path != "/" {
		return "it has a path; leave it out, and write %2F for / in a user or password"
	}
	digits := strconv.Itoa(int(u.port))
	host := parsed.Hostname()
	if parsed.Host != host && parsed.Host != "["+host+"]" {
		digits = parsed.Port()
	}
	t, err := parseTarget(net.JoinHostPort(host, digits))
	if err != nil {
		return "its host or port: " + strings.ReplaceAll(err.Problem, "the target", "it")
	}
	u.host, u.port = t.Host, t.Port
	if t.Addr.IsValid() {
		u.host = t.Addr.String()
	}
	if u.scheme == "https" {
		u.tls = u.tlsConfig(nil)
	}
	return ""
}

// setPath takes the path of a Unix socket.
func (u *Upstream) setPath(parsed *url.URL) (problem string) {
	switch p := parsed.Path; {
	case parsed.Host != "" || !strings.HasPrefix(p, "/") || strings.HasSuffix(p, "/"):
		return "the path of a socket is absolute; write unix:///run/proxy.sock, with three slashes"
	case strings.ContainsFunc(p, isControl):
		return "the path of the socket contains a control character"
	case len(p) >= maxSocketPath:
		return fmt.Sprintf("the path of the socket is longer than %d bytes", maxSocketPath-1)
	}
	u.path = parsed.Path
	return ""
}

// setCredentials checks and takes credentials.
func (u *Upstream) setCredentials(user, password string) (problem string) {
	socks := u.scheme == "socks5h"
	switch {
	case user == "" && password == "":
		return "the user and the password are empty"
	case !utf8.ValidString(user) || !utf8.ValidString(password):
		return "the user or the password is not UTF-8"
	case strings.ContainsFunc(user, isControl) || strings.ContainsFunc(password, isControl):
		return "the user or the password contains a control character"
	case !socks && strings.Contains(user, ":"):
		return "the user contains a colon (RFC 7617 section 2)"
	case len(user)+len(password) > maxCredentials:
		return fmt.Sprintf("the user and the password together are longer than %d bytes", maxCredentials)
	case socks && (user == "" || password == "" || len(user) > 255 || len(password) > 255):
		return "SOCKS needs a user and a password of 1 to 255 bytes each (RFC 1929 section 2)"
	}
	u.credentials = func() (string, string) { return user, password }
	return ""
}

const (
	// maxCredentials keeps the head of a CONNECT well below what proxies accept.
	maxCredentials = 2048
	// maxSocketPath is the room for a socket's path and the NUL behind it.
	maxSocketPath = len(syscall.RawSockaddrUnix{}.Path)
)

func isControl(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

// String gives scheme://host:port, or unix:// and the path: never the credentials.
func (u *Upstream) String() string {
	switch {
	case u == nil || u.scheme == "":
		return "no upstream"
	case u.scheme == "unix":
		return (&url.URL{Scheme: u.scheme, Path: u.path}).String()
	}
	return u.scheme + "://" + u.address()
}

// address is the upstream's host:port.
func (u *Upstream) address() string { return net.JoinHostPort(u.host, strconv.Itoa(int(u.port))) }

// Format implements [fmt.Formatter], so that no verb shows more than String.
func (u *Upstream) Format(f fmt.State, _ rune) { io.WriteString(f, u.String()) }

// LogValue implements [slog.LogValuer].
func (u *Upstream) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText implements [encoding.TextMarshaler], for logs in JSON.
func (u *Upstream) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// WithCredentials returns a copy with these credentials instead of those it has:
// Basic (RFC 7617), in UTF-8, or those of RFC 1929 for socks5h. An error says
// what is wrong with them, and nothing of what they are.
func (u *Upstream) WithCredentials(user, password string) (*Upstream, error) {
	v := *u
	if problem := v.setCredentials(user, password); problem != "" {
		return nil, fmt.Errorf("proxycore: credentials for the upstream %v: %s", u, problem)
	}
	return &v, nil
}

// WithRoots returns a copy that takes the certificate of an https upstream from
// one of these authorities only; nil means the system's. With the other schemes
// there is no certificate, and it changes nothing.
func (u *Upstream) WithRoots(pool *x509.CertPool) *Upstream {
	v := *u
	if v.tls != nil {
		v.tls = v.tlsConfig(pool)
	}
	return &v
}

// WithLookup returns a copy with another way of looking names up; that of
// [ParseUpstream] is [LookupUpstream].
func (u *Upstream) WithLookup(l Lookup) *Upstream {
	v := *u
	v.lookup = l
	return &v
}

// tlsConfig is how an https upstream is spoken to. The name is always verified.
func (u *Upstream) tlsConfig(roots *x509.CertPool) *tls.Config {
	return &tls.Config{
		ServerName:         u.host,
		RootCAs:            roots,
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"http/1.1"},
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
}
