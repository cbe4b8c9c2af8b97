// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// attached is the side of a control socket that is in the container.
type attached struct {
	conn   *net.UnixConn
	params params
	port   int
	done   chan struct{} // closed when the proxy has let go
	once   sync.Once
	err    error // of close
}

func (c AttachConfig) attach(ctx context.Context) (*attached, error) {
	var doors params
	if err := (Sandbox{Weaker: c.Weaker}).planDoors(&doors); err != nil {
		return nil, err
	}
	if err := c.checkNetwork(); err != nil {
		return nil, err
	}
	sock, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(sock), c.Socket)
	defer f.Close() // FileConn duplicates it
	p, port, err := c.handOver(ctx, sock)
	if err != nil {
		return nil, err
	}
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("bridge: keep the control socket %s: %w", c.Socket, err)
	}
	p.Weaker, p.HostSockets = doors.Weaker, doors.HostSockets
	a := &attached{conn: conn.(*net.UnixConn), params: p, port: port, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		awaitEnd(a.conn)
	}()
	return a, nil
}

// checkNetwork makes sure that there is nothing here but loopback, and that this is up.
func (c AttachConfig) checkNetwork() error {
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("bridge: find out whether there is another network here: %w", err)
	}
	for _, i := range all {
		if c.OtherNetwork || i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		return fmt.Errorf("bridge: this network namespace has an interface %s, by which the command could go past the proxy: "+
			"start the container without a network (docker run --network none), or, if something else keeps the command "+
			"from using it, say so (--allow-weaker network)", i.Name)
	}
	up, err := loopback(false)
	if err == nil && !up {
		_, err = loopback(true)
	}
	if errors.Is(err, unix.EPERM) {
		return errors.New("bridge: the loopback interface here is down and this process may not bring it up: " +
			"have whoever made this network namespace do so (ip link set lo up), or grant CAP_NET_ADMIN")
	}
	return err
}

// connect connects to the control socket. Whatever is sent or awaited there takes no
// longer than handshakePatience.
func (c AttachConfig) connect(ctx context.Context) (sock int, err error) {
	if err := ctx.Err(); err != nil {
		return -1, fmt.Errorf("bridge: attach to the proxy: %w", err)
	}
	if err := checkPath(c.Socket); err != nil {
		return -1, err
	}
	sock, err = unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("bridge: open a socket for the proxy at %s: %w", c.Socket, err)
	}
	patience := unix.NsecToTimeval(int64(handshakePatience))
	err = errors.Join(
		unix.SetsockoptTimeval(sock, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience),
		unix.SetsockoptTimeval(sock, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &patience),
	)
	if err == nil {
		err = unix.Connect(sock, &unix.SockaddrUnix{Name: c.Socket})
	}
	if err != nil {
		unix.Close(sock)
		return -1, fmt.Errorf("bridge: connect to the proxy at %s: %w: %s", c.Socket, err, attachRemedy(err))
	}
	return sock, nil
}

// attachRemedy says what to do about a control socket that cannot be connected to.
func attachRemedy(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "start the proxy first (sallyport proxy --control PATH), and mount the directory of its socket here"
	case errors.Is(err, unix.ECONNREFUSED):
		return "the proxy that made it is gone; start it again, and have the directory mounted rather than the socket"
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("let user %d use it (sallyport proxy --control-uid), and reach it in its directory", os.Geteuid())
	case errors.Is(err, unix.EPROTOTYPE), errors.Is(err, unix.ENOTSOCK):
		return "this is no control socket; one is made by sallyport proxy --control"
	}
	return "look whether the proxy runs"
}

// handOver is this side of the handshake: see admitting.settle.
func (c AttachConfig) handOver(ctx context.Context, sock int) (p params, port int, err error) {
	stop := context.AfterFunc(ctx, func() { _ = unix.Shutdown(sock, unix.SHUT_RDWR) }) // wakes who waits
	defer func() {
		if !stop() && err != nil {
			err = fmt.Errorf("bridge: attach to the proxy at %s: %w", c.Socket, ctx.Err())
		}
	}()
	request, err := json.Marshal(attachRequest{Attach: attachVersion, Transparent: c.Transparent})
	if err != nil {
		return p, 0, err
	}
	// Who is turned away is told so before being heard.
	_ = unix.Sendto(sock, request, unix.MSG_NOSIGNAL, nil)
	m, err := c.answer(sock)
	if err != nil {
		return p, 0, err
	}
	if m.Params == nil || m.Params.Transparent != c.Transparent {
		return p, 0, c.gone(errors.New("it does not say what to open"))
	}
	all, err := openEntrances(m.Params.wish)
	if err != nil {
		return p, 0, c.explained(err)
	}
	port = int(all[0].Port)
	if err := passEntrances(sock, all); err != nil {
		return p, 0, c.gone(err)
	}
	p = *m.Params
	m, err = c.answer(sock)
	if err == nil && !m.Attached {
		err = c.gone(errors.New("it does not say that it serves this sandbox"))
	}
	return p, port, err
}

// explained adds to the error of opening sockets what it takes.
func (c AttachConfig) explained(err error) error {
	switch {
	case !c.Transparent:
		return err
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: a transparent sandbox needs CAP_NET_ADMIN and, for ports below 1024, CAP_NET_BIND_SERVICE here "+
			"(docker run --cap-add NET_ADMIN, as root in the container; bwrap --cap-add CAP_NET_ADMIN "+
			"--cap-add CAP_NET_BIND_SERVICE, without --dev for an ordinary user); the command gets neither", err)
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%w: is this network namespace transparent already? Then attach without --transparent: it is for all that run in it", err)
	}
	return err
}

// answer receives what the proxy says, which may be that it refuses.
func (c AttachConfig) answer(sock int) (message, error) {
	m, err := receive(sock)
	if errors.Is(err, unix.ECONNRESET) { // it has closed without reading; what it said before is still there
		m, err = receive(sock)
	}
	switch {
	case errors.Is(err, unix.EAGAIN):
		return m, c.gone(fmt.Errorf("no answer within %v", handshakePatience))
	case err != nil:
		return m, c.gone(err)
	case m.Error != "":
		return m, errors.New(errorPrefix + strings.TrimPrefix(m.Error, errorPrefix))
	}
	return m, nil
}

// gone is the error for a proxy that ends the exchange without a word.
func (c AttachConfig) gone(err error) error {
	return fmt.Errorf("bridge: the proxy at %s has not taken this sandbox: %w: look at its messages", c.Socket, err)
}

func (a *attached) environ(base []string) []string {
	b := proxycore.Bouquet{
		ProxyURL: "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(a.port)),
		NoProxy:  a.params.NoProxy,
	}
	if isFile(a.params.CABundle) {
		b.CABundle = a.params.CABundle
	}
	if isFile(a.params.Java) {
		b.JavaTrustStore = a.params.Java
	}
	return proxycore.Environ(base, b)
}

func (a *attached) close() error {
	a.once.Do(func() {
		_ = a.conn.CloseRead() // wakes awaitEnd, even where exec has made the socket one that blocks
		a.err = a.conn.Close()
		<-a.done
	})
	return a.err
}
