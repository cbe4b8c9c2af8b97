// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The credentials of every upstream in these tests.
const (
	secretUser, secretPassword = "uSeRsEcReT", "pAsSsEcReT"
	secretBasic                = "dVNlUnNFY1JlVDpwQXNTc0VjUmVU"
)

// fakeUpstream is a proxy that answers as it is told.
type fakeUpstream struct {
	t      testing.TB
	l      net.Listener
	answer func(c net.Conn, head string) // has the connection to itself until it returns
	conns  chan net.Conn                 // those that have been answered

	mu    sync.Mutex
	heads []string
	wg    sync.WaitGroup
}

// established200 opens every tunnel; the test plays the origin.
func established200(c net.Conn, _ string) { io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n") }

// newUpstream serves l, or a new listener at loopback.
func newUpstream(t testing.TB, l net.Listener, answer func(c net.Conn, head string)) *fakeUpstream {
	t.Helper()
	if l == nil {
		l = listen(t)
	}
	f := &fakeUpstream{t: t, l: l, answer: answer, conns: make(chan net.Conn, 100)}
	f.wg.Add(1)
	go f.run()
	t.Cleanup(func() {
		l.Close()
		f.wg.Wait()
	})
	return f
}

func (f *fakeUpstream) run() {
	defer f.wg.Done()
	for {
		c, err := f.l.Accept()
		if err != nil {
			return
		}
		f.t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(20 * time.Second))
		f.wg.Add(1)
		go func() {
			defer f.wg.Done()
			head := readBytewise(c)
			f.mu.Lock()
			f.heads = append(f.heads, head)
			f.mu.Unlock()
			f.answer(c, head)
			f.conns <- c
		}()
	}
}

// readBytewise reads a head and nothing behind it.
func readBytewise(c net.Conn) string {
	var head []byte
	b := make([]byte, 1)
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		if n, err := c.Read(b); n == 0 || err != nil {
			break
		}
		head = append(head, b[0])
	}
	return string(head)
}

// seen gives the heads of all requests so far.
func (f *fakeUpstream) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.heads...)
}

// next gives the next answered connection.
func (f *fakeUpstream) next() net.Conn {
	f.t.Helper()
	select {
	case c := <-f.conns:
		return c
	case <-time.After(10 * time.Second):
		f.t.Fatal("nothing came to the upstream within 10 s")
		return nil
	}
}

// url gives the upstream's URL, with credentials.
func (f *fakeUpstream) url(scheme string) string {
	at := f.l.Addr().String()
	if f.l.Addr().Network() == "unix" {
		scheme = "unix"
	}
	return scheme + "://" + secretUser + ":" + secretPassword + "@" + at
}

// log collects what a server logs, at every level.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *log) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug - 100}))
}

// chained starts a proxy for allow with up as its upstream.
func chained(t testing.TB, up *Upstream, allow []string, change func(w *world, b *BuiltIn)) (*world, *log) {
	t.Helper()
	logged := new(log)
	w := newWorld(t, allow, func(w *world, b *BuiltIn) {
		b.Upstream, b.Logger = up, logged.logger()
		if change != nil {
			change(w, b)
		}
	})
	return w, logged
}

// noDirect says that nothing has gone past the upstream: neither through the Dial
// hook nor to the origin, which is asked last, by its own means.
func (w *world) noDirect() {
	w.t.Helper()
	if d := w.dials(); len(d) > 0 {
		w.t.Errorf("dialled directly: %q", d)
	}
	w.origin.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Millisecond))
	if c, err := w.origin.Accept(); err == nil {
		c.Close()
		w.t.Error("the origin was connected to directly")
	}
}

// noSecrets says that none of the texts has the credentials in it.
func noSecrets(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		for _, secret := range []string{secretUser, secretPassword, secretBasic, "sEcReT"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in %s", secret, text)
			}
		}
	}
}

// authority makes a certificate for 127.0.0.1 and its pool.
func authority(t testing.TB, notAfter time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: notAfter,
		IPAddresses: []net.IP{{127, 0, 0, 1}}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func listenTLS(t testing.TB, cert tls.Certificate) net.Listener {
	t.Helper()
	return tls.NewListener(listen(t), &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}})
}

func listenUnix(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// socksAnswer reads a greeting, credentials if it may, and a request, and replies
// with rep. The head is the request.
func socksServe(c net.Conn, auth bool, rep byte) (request []byte, user string) {
	b := make([]byte, 512)
	read := func(n int) []byte {
		if _, err := io.ReadFull(c, b[:n]); err != nil {
			return make([]byte, n)
		}
		return b[:n]
	}
	n := int(read(2)[1])
	read(n)
	if auth {
		c.Write([]byte{5, 2})
		user = string(read(int(read(2)[1])))
		user += ":" + string(read(int(read(1)[0])))
		if user != secretUser+":"+secretPassword {
			c.Write([]byte{1, 1})
			return nil, user
		}
		c.Write([]byte{1, 0})
	} else {
		c.Write([]byte{5, 0})
	}
	request = append(request, read(4)...)
	switch request[3] {
	case 1:
		request = append(request, read(6)...)
	case 3:
		n := read(1)[0]
		request = append(append(request, n), read(int(n)+2)...)
	case 4:
		request = append(request, read(18)...)
	}
	c.Write([]byte{5, rep, 0, 1, 0, 0, 0, 0, 0, 0})
	return request, user
}

// deadAddr gives an address at loopback that refuses connections. A connection
// holds its port, so that no other test can come to listen there.
func deadAddr(t testing.TB) string {
	t.Helper()
	c, err := net.Dial("tcp", listen(t).Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().String()
}
