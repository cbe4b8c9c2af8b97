// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// probeBytes bounds what is read of an answer; more is no status line.
	probeBytes = 8 << 10
	// leastProbe is granted to the probe of a child that took nearly all of its
	// time to listen.
	leastProbe = time.Second
)

// errUnreachable says that there was no connection to ask over.
var errUnreachable = errors.New("cannot be connected to")

// probe is the question that a proxy must say no to.
type probe struct {
	target      string // host:port; "" for a name that nobody has
	locked      bool   // the answer must be 407, the question being without credentials
	credentials *credentials
}

// probe returns the question for this proxy; nil when there is none to ask.
func (s Spec) probe() *probe {
	if s.Unfiltered {
		if s.credentials == nil {
			return nil
		}
		return &probe{target: s.Probe, locked: true}
	}
	return &probe{target: s.Probe, credentials: s.credentials}
}

// checkProbe finds out whether target can be asked for at all.
func checkProbe(target string) error {
	if target == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(target)
	n, portErr := strconv.ParseUint(port, 10, 16)
	unsafe := strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r >= 0x7f })
	if err != nil || portErr != nil || n == 0 || host == "" || unsafe {
		return fmt.Errorf("external: %w: Probe %q is not of the form host:port; name a target that the proxy denies", ErrInvalidSpec, target)
	}
	return nil
}

// ask sends the question over a new connection. name is the proxy in errors. The
// error wraps ErrOpen if the answer is wrong, and ErrStartTimeout if there is none
// until ctx ends because its time is over.
func (p *probe) ask(ctx context.Context, name string, at endpoint) error {
	target := p.target
	if target == "" {
		// Below .invalid there is nothing (RFC 6761 section 6.4). The random label
		// keeps an answer from being remembered.
		target = "deny-probe-" + strings.ToLower(rand.Text()) + ".invalid:443"
	}
	status, err := p.exchange(ctx, at, target)
	switch {
	case ctx.Err() != nil:
		if !errors.Is(context.Cause(ctx), ErrStartTimeout) {
			return fmt.Errorf("external: start of %s was given up: %w", name, context.Cause(ctx))
		}
		return fmt.Errorf("external: %w: %s at %s accepts connections but did not answer a CONNECT to %s in time; see whether it is an HTTP proxy and can answer without asking others", ErrStartTimeout, name, at, target)
	case err != nil:
		return fmt.Errorf("external: %s at %s: %w: %w", name, at, errUnreachable, err)
	}
	return p.judge(name, target, status)
}

// judge says whether the answer is a refusal. status is the status line, "" for a
// connection that was closed without one.
func (p *probe) judge(name, target, status string) error {
	code := statusCode(status)
	shown := strings.Map(printable, status)
	switch {
	case p.locked && code == 407:
		return nil
	case p.locked:
		return fmt.Errorf("external: %w: %s was to ask for credentials (407) and answered %q to a CONNECT without any; correct its configuration: everybody on this host could use it", ErrOpen, name, shown)
	case status == "", code >= 400 && code < 500 && !p.triedAnyway(code), code >= 500 && !p.nobodys():
		return nil
	case code >= 200 && code < 300:
		return fmt.Errorf("external: %w: %s answered %q to a CONNECT to %s, which no policy admits; correct its policy, or set Unfiltered where a filter stands in front of it", ErrOpen, name, shown, target)
	case p.nobodys() && code >= 400:
		return fmt.Errorf("external: %w: %s answered %q to a CONNECT to %s: it tried to reach what does not exist, and did not refuse it; correct its policy, set Probe to a host that it denies, or Unfiltered where a filter stands in front of it", ErrOpen, name, shown, target)
	}
	return fmt.Errorf("external: %w: %s answered %q to a CONNECT to %s, which is no refusal; see whether it is an HTTP proxy", ErrOpen, name, shown, target)
}

// triedAnyway picks the client errors by which some proxies say that they could
// not reach a name that they admit: Privoxy answers 404 where others answer 502.
func (p *probe) triedAnyway(code int) bool {
	return p.nobodys() && (code == 404 || code == 408 || code == 410)
}

// nobodys reports whether nobody has the target, so that a proxy which admits it
// fails to reach it: then a failure is no refusal.
func (p *probe) nobodys() bool {
	host, _, _ := net.SplitHostPort(p.target)
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return p.target == "" || strings.HasSuffix(host, ".invalid") || slices.Contains(deniedTargets, p.target)
}

// statusCode reads "HTTP/1.1 403 Forbidden"; 0 for anything that is not like it.
func statusCode(line string) int {
	rest, ok := strings.CutPrefix(line, "HTTP/1.")
	if !ok || len(rest) < 5 || rest[1] != ' ' || len(rest) > 5 && rest[5] != ' ' {
		return 0
	}
	code, err := strconv.ParseUint(rest[2:5], 10, 16)
	if err != nil || code < 100 {
		return 0
	}
	return int(code)
}

// exchange sends the request and returns the status line of the final answer, ""
// when the connection ended without one.
func (p *probe) exchange(ctx context.Context, at endpoint, target string) (status string, err error) {
	c, err := at.dial(ctx)
	if err != nil {
		return "", err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	head := "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n"
	if p.credentials != nil {
		pair := p.credentials.user + ":" + p.credentials.password
		head += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) + "\r\n"
	}
	if _, err := io.WriteString(c, head+"\r\n"); err != nil && ctx.Err() != nil {
		return "", ctx.Err()
	}
	// A proxy may refuse and close before it has read everything, so an answer is
	// looked for even when writing failed.
	status, err = finalStatus(bufio.NewReader(io.LimitReader(c, probeBytes)))
	if err != nil && ctx.Err() != nil {
		return "", ctx.Err()
	}
	return status, nil
}

// finalStatus reads past interim answers (RFC 9110 section 15.2). An error is the
// end of the stream, and what came before it the status: "" only when that is nothing.
func finalStatus(r *bufio.Reader) (string, error) {
	for {
		line, err := r.ReadString('\n')
		if line == "\n" || line == "\r\n" {
			return "an empty line", nil
		}
		line = strings.TrimRight(line, "\r\n")
		if code := statusCode(line); err != nil || code < 100 || code > 199 {
			return line, err
		}
		for header := "x"; header != ""; {
			if header, err = r.ReadString('\n'); err != nil {
				return line, err
			}
			header = strings.TrimRight(header, "\r\n")
		}
	}
}

// endpoint is where a proxy listens: one of the two.
type endpoint struct {
	addr   netip.AddrPort
	socket string
}

func (e endpoint) valid() bool { return e.addr.IsValid() || e.socket != "" }

// String names the endpoint in errors.
func (e endpoint) String() string {
	if e.socket != "" {
		return e.socket
	}
	return e.addr.String()
}

func (e endpoint) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	if e.socket != "" {
		return d.DialContext(ctx, "unix", e.socket)
	}
	d.SetMultipathTCP(false) // its connections cannot be spliced
	return d.DialContext(ctx, "tcp", e.addr.String())
}

// bundleExists reports whether path, if any, names a file with something in it: a
// proxy that makes its certificate at its first start may still be writing.
func bundleExists(path string) bool {
	if path == "" {
		return true
	}
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() > 0
}
