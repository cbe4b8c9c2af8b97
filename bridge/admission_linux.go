// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// handshakePatience bounds how long a peer may take from its connection to its last socket,
// and the other way round. Both have nothing to wait for.
const handshakePatience = 10 * time.Second

// overflowUID is what the kernel says of a user that has no id in this user namespace
// (user_namespaces(7); the sysctl that changes it is left alone everywhere).
const overflowUID = 65534

// admitting is the host's side of a control socket.
type admitting struct {
	a        Admission
	h        *proxycore.Handle
	log      *slog.Logger
	l        *controlListener
	detach   func() // ends the accept loop, which the proxy runs
	patience time.Duration

	stop    chan struct{} // closed by Close
	watched chan struct{} // closed when watch has returned
	stopped sync.Once
	ended   sync.Once
	peers   sync.WaitGroup

	mu     sync.Mutex // guards the following
	filter *proxycore.Filter
	conns  map[*net.UnixConn]struct{}
	count  int // of all who came
	over   bool
}

func (a Admission) start(ctx context.Context, h *proxycore.Handle) (*admitting, error) {
	switch {
	case h == nil:
		return nil, errors.New("bridge: no proxy for the control socket: the handle is nil")
	case a.MaxSandboxes < 0:
		return nil, fmt.Errorf("bridge: limit of %d sandboxes is negative: 0 means %d", a.MaxSandboxes, DefaultMaxSandboxes)
	case a.MaxConns < 0:
		return nil, fmt.Errorf("bridge: sandbox limit of %d connections is negative: 0 means no limit of its own", a.MaxConns)
	case slices.Contains(a.AllowUIDs, overflowUID):
		return nil, fmt.Errorf("bridge: user %d may not be let in: it stands for everybody who has no id here", overflowUID)
	case a.Transparent && a.Filter == nil && h.Filter() == nil:
		return nil, errors.New("bridge: the control socket cannot offer transparent sandboxes: the proxy's policy is not known; name one for the socket")
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("bridge: start the control socket: %w", err)
	}
	if a.MaxSandboxes == 0 {
		a.MaxSandboxes = DefaultMaxSandboxes
	}
	in := &admitting{
		a: a, h: h, log: a.Logger, filter: ownFilter(a.Filter), patience: handshakePatience,
		stop: make(chan struct{}), watched: make(chan struct{}),
		conns: make(map[*net.UnixConn]struct{}),
	}
	if in.log == nil {
		in.log = slog.New(slog.DiscardHandler)
	}
	return in, in.listen(ctx)
}

// listen makes the socket and has the proxy run its accept loop, so that draining and closing the
// proxy ends that like any other.
func (in *admitting) listen(ctx context.Context) error {
	mode := uint32(0o600)
	if len(in.a.AllowUIDs) > 0 {
		mode = 0o666
	}
	l, err := place{path: in.a.Path, typ: unix.SOCK_SEQPACKET, mode: mode, uids: in.a.AllowUIDs}.listen(ctx)
	if err != nil {
		return err
	}
	in.l = &controlListener{l, in}
	if in.a.Name == "" {
		in.a.Name = strings.TrimSuffix(filepath.Base(l.path), ".sock")
	}
	if in.detach, err = in.h.Attach(in.l, proxycore.Listening{Name: l.path}); err != nil { // and l is closed
		return errors.Join(fmt.Errorf("bridge: attach the control socket to the proxy: %w", err), l.remove())
	}
	go in.watch()
	return nil
}

// controlListener is a listener of the proxy that never brings it a connection: those
// it gets are sandboxes.
type controlListener struct {
	*peerListener
	in *admitting
}

// Accept admits sandboxes until the listener is closed or fails.
func (l *controlListener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		l.in.admit(c)
	}
}

func (in *admitting) path() string { return in.l.path }

func (in *admitting) sandboxes() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.conns)
}

func (in *admitting) setFilter(f *proxycore.Filter) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	old := in.filter
	in.filter = ownFilter(f)
	if old == nil {
		return nil
	}
	if err := in.h.ReplaceFilter(old, in.filter); err != nil {
		return fmt.Errorf("bridge: replace the policy of the sandboxes at %s: %w", in.path(), err)
	}
	return nil
}

// ownFilter gives a filter that judges like f and is no other socket's, so that it can be
// replaced for this one alone.
func ownFilter(f *proxycore.Filter) *proxycore.Filter {
	if f == nil {
		return nil
	}
	own := *f
	return &own
}

// watch ends what is left when the proxy is over.
func (in *admitting) watch() {
	defer close(in.watched)
	select {
	case <-in.h.Done():
		in.end()
	case <-in.stop:
	}
}

func (in *admitting) close() error {
	in.stopped.Do(func() { close(in.stop) })
	in.end()
	<-in.watched
	return in.l.remove() // which has been done; this is how the error gets out
}

// end admits nobody any more and ends all that are there.
func (in *admitting) end() {
	in.ended.Do(func() {
		in.detach()
		in.mu.Lock()
		in.over = true
		for c := range in.conns {
			_ = c.CloseRead() // wakes its goroutine, which tells the peer when the network is gone
		}
		in.mu.Unlock()
		in.peers.Wait()
	})
}

// admit serves c in a goroutine of its own, or says why not.
func (in *admitting) admit(c *net.UnixConn) {
	uid, err := peerUID(c)
	if err == nil && !slices.Contains(in.l.uids, uid) {
		err = fmt.Errorf("bridge: the proxy does not admit user %d: start it with that user allowed (--control-uid %[1]d), or run as user %d", uid, os.Geteuid())
	}
	in.mu.Lock()
	if err == nil && len(in.conns) >= in.a.MaxSandboxes {
		err = fmt.Errorf("bridge: the proxy has %d sandboxes at this control socket, which is its limit: end one first, or start the proxy with a higher one (--control-limit)", in.a.MaxSandboxes)
	}
	if err != nil || in.over {
		in.mu.Unlock()
		in.refuse(c, in.a.Name, err)
		closeControl(c)
		return
	}
	in.count++
	name := fmt.Sprintf("%s-%d", in.a.Name, in.count)
	in.conns[c] = struct{}{}
	in.peers.Add(1)
	in.mu.Unlock()
	go in.serve(c, name, uid)
}

// refuse tells c why, if it can be told at once.
func (in *admitting) refuse(c *net.UnixConn, name string, err error) {
	if err == nil {
		return
	}
	in.log.Warn("sandbox refused", "sandbox", name, "err", err)
	_ = c.SetWriteDeadline(time.Now().Add(in.patience))
	_ = send(c, message{Error: err.Error()}) // if it fails, the peer sees the end
}

// serve is one sandbox from its connection to its end.
func (in *admitting) serve(c *net.UnixConn, name string, uid uint32) {
	defer in.peers.Done()
	defer func() {
		closeControl(c)
		in.mu.Lock()
		delete(in.conns, c)
		in.mu.Unlock()
	}()
	detach, err := in.settle(c, name)
	if err != nil {
		in.refuse(c, name, err)
		return
	}
	in.log.Info("sandbox attached", "sandbox", name, "uid", uid)
	defer in.log.Info("sandbox detached", "sandbox", name)
	defer detach()
	if send(c, message{Attached: true}) != nil || c.SetDeadline(time.Time{}) != nil {
		return
	}
	awaitEnd(c)
}

// settle is the handshake: it learns what the peer asks for, says what that takes, takes its
// sockets, and attaches them to the proxy.
func (in *admitting) settle(c *net.UnixConn, name string) (detach func(), err error) {
	if err := c.SetDeadline(time.Now().Add(in.patience)); err != nil {
		return nil, fmt.Errorf("bridge: bound the time a sandbox may take: %w", err)
	}
	asked, err := receiveRequest(c)
	if err != nil {
		return nil, err
	}
	in.mu.Lock()
	filter := in.filter
	in.mu.Unlock()
	w, err := in.wish(asked, filter)
	if err != nil {
		return nil, err
	}
	p := params{wish: w, CABundle: in.h.CABundle(), Java: in.h.JavaTrustStore()}
	if (Sandbox{Filter: filter}).bypassesLoopback(in.h) {
		p.NoProxy = "-"
	}
	if err := send(c, message{Params: &p}); err != nil {
		return nil, fmt.Errorf("bridge: tell the sandbox what to open: %w", err)
	}
	detach, err = serveEntrances(c, w, in.h, proxycore.Listening{Name: name, Filter: filter, MaxConns: in.a.MaxConns})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("bridge: the sandbox has not handed its sockets over within %v", in.patience)
	case errors.Is(err, io.EOF):
		err = errors.New("bridge: the sandbox has ended before it had handed its sockets over; it says why")
	case err != nil && !strings.HasPrefix(err.Error(), errorPrefix):
		err = fmt.Errorf("bridge: take the sandbox's sockets: %w", err)
	}
	if err != nil {
		return nil, err
	}
	if err := in.catchUp(filter); err != nil {
		detach()
		return nil, err
	}
	return detach, nil
}

// catchUp gives a sandbox that came under filter the policy that was set meanwhile.
func (in *admitting) catchUp(filter *proxycore.Filter) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if filter == nil || in.filter == filter {
		return nil
	}
	return in.h.ReplaceFilter(filter, in.filter)
}

// wish is what the peer has to open for what it asked for.
func (in *admitting) wish(asked attachRequest, filter *proxycore.Filter) (wish, error) {
	if asked.Transparent && !in.a.Transparent {
		return wish{}, errors.New("bridge: the proxy does not offer transparent sandboxes at this control socket: start it with --transparent, or attach without")
	}
	w, err := Sandbox{Transparent: asked.Transparent, Filter: filter}.wishes(in.h)
	w.untrusted = true
	return w, err
}
