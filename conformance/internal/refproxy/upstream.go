// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// Upstream is the proxy a reference proxy goes through.
type Upstream struct {
	// URL is http://, https:// or socks5h:// with host and port, or unix:// with a path.
	URL string
	// User and Password are its credentials, both empty for none.
	User, Password string
	// CAFile has the authority for https, "" means the system's.
	CAFile string
}

// upstream is one that was understood.
type upstream struct {
	Upstream
	scheme, network, address, host string
	roots                          *x509.CertPool

	mu     sync.Mutex
	failed bool            // for the fault UpstreamStaysDown; guarded by mu
	asked  map[string]bool // for the fault SecondDirect; guarded by mu
	left   []net.Conn      // for the fault UpstreamKept; guarded by mu
}

var errUpstream = errors.New("refproxy: no upstream URL")

// newUpstream reads the upstream of o; nil is none.
func newUpstream(o Options) (*upstream, error) {
	f := o.Faults
	if o.Upstream == nil || f.Has(UpstreamIgnored) || o.Bare {
		return nil, nil
	}
	u := &upstream{Upstream: *o.Upstream, asked: map[string]bool{}}
	err := u.parse()
	if err != nil && f.Has(BadURLIgnored) {
		return nil, nil
	}
	if err == nil && u.CAFile != "" {
		err = u.trust()
	}
	if err != nil {
		return nil, err
	}
	if f.Has(LoginLogged) && u.User != "" {
		fmt.Fprintf(o.Log, "refproxy: going through %s\n", u.full())
	}
	return u, nil
}

// full is the URL with the credentials, for faults alone.
func (u *upstream) full() string {
	return fmt.Sprintf("%s://%s:%s@%s", u.scheme, u.User, u.Password, u.address)
}

// parse understands exactly four kinds of URL.
func (u *upstream) parse() error {
	scheme, rest, ok := strings.Cut(u.URL, "://")
	if !ok || strings.ContainsFunc(u.URL, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return errUpstream
	}
	u.scheme = scheme
	switch scheme {
	case "unix":
		u.network, u.address = "unix", rest
		if !strings.HasPrefix(rest, "/") {
			return errUpstream
		}
		return nil
	case "http", "https", "socks5h":
	default:
		return errUpstream
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return errUpstream
	}
	if _, err := parsePort(port, nil); err != nil {
		return errUpstream
	}
	if _, err := netip.ParseAddr(host); err != nil && checkName(host, nil) != nil {
		return errUpstream
	}
	u.network, u.address, u.host = "tcp", rest, host
	return nil
}

func (u *upstream) trust() error {
	text, err := os.ReadFile(u.CAFile)
	if err != nil {
		return fmt.Errorf("refproxy: %w", err)
	}
	u.roots = x509.NewCertPool()
	if !u.roots.AppendCertsFromPEM(text) {
		return fmt.Errorf("refproxy: no certificate in %s", u.CAFile)
	}
	return nil
}

// past is where the faults live that forget the upstream.
func (p *Proxy) past(c net.Conn, t target) bool {
	f := p.o.Faults
	p.mu.Lock()
	crowd := len(p.conns) >= 8
	p.mu.Unlock()
	p.up.mu.Lock()
	defer p.up.mu.Unlock()
	key := fmt.Sprint(t)
	again := p.up.asked[key]
	p.up.asked[key] = true
	switch {
	case f.Has(LiteralsDirect) && t.addr.IsValid(), f.Has(PortsDirect) && t.port != 443, f.Has(SecondDirect) && again,
		f.Has(CrowdDirect) && crowd, f.Has(SocketDirect) && p.bySocket(c), f.Has(SandboxDirect) && p.byDoor(c),
		f.Has(NoProxyObeyed) && strings.HasPrefix(os.Getenv("NO_PROXY"), "*"):
		return true
	}
	return false
}

// byDoor reports whether a client comes out of a sandbox.
func (p *Proxy) byDoor(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.doors {
		if l.Addr().String() == c.LocalAddr().String() {
			return true
		}
	}
	return false
}

// malformed is the fault of leaving the judgement to the upstream.
func (p *Proxy) malformed(req *request) {
	if p.up == nil || !p.o.Faults.Has(ChainMalformed) {
		return
	}
	if c, err := p.connect(req, req.target, target{}); err == nil {
		c.Close()
	}
}

// helper gives the credentials to another program, for the fault LoginInArguments.
func (p *Proxy) helper() {
	cmd := exec.CommandContext(p.ctx, "/bin/sh", "-c", "read x", "helper", p.up.User+":"+p.up.Password)
	in, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return
	}
	p.wg.Go(func() {
		<-p.ctx.Done()
		in.Close()
		cmd.Wait()
	})
}

// explain is the page behind a failure, for the faults that show too much.
func (p *Proxy) explain(c net.Conn, answer string) {
	f := p.o.Faults
	switch {
	case f.Has(ChainAnswerShown) && answer != "":
		io.WriteString(c, answer)
	case f.Has(LoginShown) && p.up.User != "":
		body := "no way through " + p.up.full() + "\n"
		fmt.Fprintf(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
	}
}
