// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// lastPolicy is what the fault SharedPolicy keeps in common.
var lastPolicy struct {
	sync.Mutex
	p *policy
}

// rules is the policy in force.
func (p *Proxy) rules() *policy {
	if !p.o.Faults.Has(SharedPolicy) {
		return p.policy
	}
	lastPolicy.Lock()
	defer lastPolicy.Unlock()
	return lastPolicy.p
}

// Start starts a proxy; Close ends it.
func Start(o Options) (*Proxy, error) {
	f := o.Faults
	switch {
	case f.Has(StartFails):
		return nil, errors.New("refproxy: it never starts")
	case f.Has(StartPanics):
		panic("refproxy: the start panics")
	case f.Has(StartHangs):
		select {}
	}
	if o.Bare {
		if f.Has(SocketBestEffort) {
			o.SocketPath = ""
		}
		if err := bare(o); err != nil && !f.Has(FeaturesFeigned) {
			return nil, err
		} else if err != nil {
			f = f.With(DenyIgnored).With(WildcardApex).With(AddressPortIgnored).With(PortIgnored)
			o.Faults = f
		}
	}
	pol, err := newPolicy(o.Allow, o.Deny, f)
	if err != nil {
		if f.Has(FailedStartStays) {
			leave(o)
		}
		return nil, err
	}
	if f.Has(SharedPolicy) {
		lastPolicy.Lock()
		defer lastPolicy.Unlock()
		lastPolicy.p = pol
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{
		o: o, policy: pol, ctx: ctx, cancel: cancel, dead: make(chan struct{}),
		conns: map[net.Conn]bool{}, slots: make(chan struct{}, 16),
	}
	if p.up, err = newUpstream(o); err == nil {
		err = p.listen()
	}
	if err != nil {
		cancel()
		return nil, errors.Join(err, p.Close())
	}
	if f.Has(LoginInArguments) && p.up != nil && p.up.User != "" {
		p.helper()
	}
	return p, nil
}

// bare refuses what a proxy that only knows names cannot do.
func bare(o Options) error {
	if len(o.Deny) > 0 || o.SocketPath != "" || o.Upstream != nil || o.Transparent {
		return errors.New("refproxy: neither deny lines nor sockets nor upstreams nor transparent sandboxes")
	}
	for _, line := range o.Allow {
		if strings.ContainsAny(line, "*:/[") || net.ParseIP(line) != nil {
			return fmt.Errorf("refproxy: policy line %q: names only", line)
		}
	}
	return nil
}

func (p *Proxy) listen() error {
	f := p.o.Faults
	if !p.o.NoTCP {
		if err := p.listenTCP(f); err != nil {
			return err
		}
	}
	if p.o.SocketPath != "" {
		l, err := p.listenUnix(p.o.SocketPath)
		if err != nil && f.Has(SocketBestEffort) {
			return nil
		}
		if err != nil {
			return err
		}
		p.unix = l
		if !f.Has(SocketDeaf) {
			go p.accept(l)
		}
	}
	return nil
}

func (p *Proxy) listenTCP(f Faults) error {
	host, port := "127.0.0.1", p.o.Port
	if f.Has(ListensEverywhere) {
		host = "0.0.0.0"
	}
	if f.Has(PortNotHonoured) {
		port = 0
	}
	l, err := net.Listen("tcp4", fmt.Sprintf("%s:%d", host, port))
	if err != nil && f.Has(BusyPortMoves) {
		l, err = net.Listen("tcp4", host+":0")
	}
	if err != nil {
		return fmt.Errorf("refproxy: %w", err)
	}
	p.tcp = l
	go p.accept(l)
	return nil
}

// listenUnix binds the socket: a dead one of somebody's is replaced, anything else at the path is not ours.
func (p *Proxy) listenUnix(path string) (net.Listener, error) {
	f := p.o.Faults
	if len(path) > 107 {
		if !f.Has(PathCut) {
			return nil, fmt.Errorf("refproxy: socket path %s is longer than 107 bytes", path)
		}
		path = path[:107]
	}
	if err := p.clear(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("refproxy: %w", err)
	}
	mode := fs.FileMode(0o600)
	if f.Has(SocketOpenMode) {
		mode = 0o666
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	p.sock = path
	p.id, err = os.Lstat(path)
	return l, err
}

// clear makes way for the socket.
func (p *Proxy) clear(path string) error {
	f := p.o.Faults
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("refproxy: %w", err)
	}
	if f.Has(RemovesFiles) && info.Mode()&fs.ModeSocket == 0 {
		return os.RemoveAll(path)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("refproxy: %s exists and is no socket; choose another path", path)
	}
	if f.Has(StaleRefused) {
		return fmt.Errorf("refproxy: %s exists", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		if f.Has(RemovesLive) {
			return os.Remove(path)
		}
		return fmt.Errorf("refproxy: somebody listens on %s", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("refproxy: %w", err)
	}
	return os.Remove(path)
}

// addr is where clients reach the proxy.
func (p *Proxy) addr() net.Addr {
	if p.tcp != nil {
		return p.tcp.Addr()
	}
	if p.unix != nil {
		return p.unix.Addr()
	}
	return nil
}

// Addr is where clients reach the proxy: TCP if it listens there, else the socket.
func (p *Proxy) Addr() net.Addr {
	a := p.addr()
	if t, ok := a.(*net.TCPAddr); ok {
		b := *t
		if b.IP.IsUnspecified() || p.o.Faults.Has(WrongAddress) {
			b.IP = net.IPv4zero
		}
		return &b
	}
	return a
}

// SocketPath is the path of the socket, or "".
func (p *Proxy) SocketPath() string { return p.sock }

// CABundle is "" as it should be, but for one fault.
func (p *Proxy) CABundle() string {
	if p.o.Faults.Has(BundleClaimed) {
		return "/etc/ssl/certs/ca-certificates.crt"
	}
	return ""
}

// Close ends the proxy: no connection is accepted, none is left.
func (p *Proxy) Close() error {
	f := p.o.Faults
	p.mu.Lock()
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()
	if conns == nil {
		if f.Has(CloseOnce) {
			return errors.New("refproxy: already closed")
		}
		if !f.Has(CloseKeepsOrigins) {
			p.wg.Wait()
		}
		return nil
	}
	if f.Has(KeepsAccepting) {
		p.mu.Lock()
		p.conns = map[net.Conn]bool{}
		p.mu.Unlock()
		return nil
	}
	p.closeListeners()
	if f.Has(CloseKeepsTunnels) {
		return nil
	}
	if f.Has(CloseWaits) {
		p.wg.Wait()
	}
	p.cancel()
	for c := range conns {
		c.Close()
	}
	if f.Has(CloseKeepsOrigins) {
		return nil
	}
	p.wg.Wait()
	return nil
}

func (p *Proxy) closeListeners() {
	p.mu.Lock()
	all := append([]net.Listener{p.tcp, p.unix}, p.doors...)
	p.mu.Unlock()
	for _, l := range all {
		if l != nil {
			l.Close()
		}
	}
	if p.sock == "" || p.o.Faults.Has(SocketLeft) {
		return
	}
	now, err := os.Lstat(p.sock)
	if err == nil && (os.SameFile(now, p.id) || p.o.Faults.Has(RemovesOthers)) {
		os.RemoveAll(p.sock)
	}
}

// Kill ends the proxy as if it had died.
func (p *Proxy) Kill() {
	p.Close()
	if !p.o.Faults.Has(DeathSilent) {
		close(p.dead)
	}
}
