// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// forms are all ways of moving bytes; every test of behaviour runs them all.
var forms = map[string]form{"best": formBest, "goroutine": formGoroutine, "buffer": formBuffer, "portable": formPortable}

// halfCloser is what both TCP and Unix stream connections are.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// loopNet is TCP through Listener and Dial.
const loopNet = "loop"

// pair returns both ends of a connection.
func pair(t testing.TB, network string) (a, b halfCloser) {
	t.Helper()
	addr := "127.0.0.1:0"
	loop := network == loopNet
	if loop {
		network = "tcp"
	}
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	if loop {
		l = Listener(l)
	}
	defer l.Close()
	dialled, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled.(halfCloser), accepted.(halfCloser)
}

// dialled returns a connection made by Dial and its far end.
func dialled(t testing.TB) (out, origin halfCloser) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dial(t.Context(), l.Addr().(*net.TCPAddr).AddrPort(), 0)
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); far.Close() })
	return c.(halfCloser), far.(halfCloser)
}

// world is a running tunnel and its two ends.
type world struct {
	client, origin halfCloser
	inner          [2]net.Conn // what Run was given
	stats          chan Stats
}

func start(t testing.TB, clientNet string, o Options) *world {
	t.Helper()
	client, in := pair(t, clientNet)
	var out, origin halfCloser
	if clientNet == loopNet {
		out, origin = dialled(t)
	} else {
		out, origin = pair(t, "tcp")
	}
	w := &world{client: client, origin: origin, inner: [2]net.Conn{in, out}, stats: make(chan Stats, 1)}
	go func() { w.stats <- Run(in, out, o) }()
	return w
}

// end waits for the tunnel's end.
func (w *world) end(t testing.TB) Stats {
	t.Helper()
	select {
	case s := <-w.stats:
		return s
	case <-time.After(20 * time.Second):
		t.Fatal("the tunnel did not end within 20 s")
		return Stats{}
	}
}

// each runs f for every form, with a TCP and with a Unix client.
func each(t *testing.T, f func(t *testing.T, network string, o Options)) {
	for name, form := range forms {
		for _, network := range []string{"tcp", "unix", loopNet} {
			t.Run(name+"/"+network, func(t *testing.T) {
				t.Parallel()
				f(t, network, Options{form: form})
			})
		}
	}
}

// pump writes size random bytes in random pieces, then half-closes.
func pump(c halfCloser, size int, seed uint64) ([]byte, error) {
	var key [32]byte
	key[0] = byte(seed)
	src, rng, h := rand.NewChaCha8(key), rand.New(rand.NewPCG(seed, 1)), sha256.New()
	buf := make([]byte, 256<<10)
	for size > 0 {
		piece := buf[:min(size, 1+rng.IntN(len(buf)))]
		src.Read(piece)
		h.Write(piece)
		if _, err := c.Write(piece); err != nil {
			return nil, err
		}
		size -= len(piece)
	}
	return h.Sum(nil), c.CloseWrite()
}

func TestBothWaysIntact(t *testing.T) {
	t.Parallel()
	size := 64 << 20
	if testing.Short() {
		size = 4 << 20
	}
	each(t, func(t *testing.T, network string, o Options) {
		w := start(t, network, o)
		type result struct {
			sum []byte
			err error
		}
		sent, got := make(chan result, 2), make(chan result, 2)
		for i, c := range []halfCloser{w.client, w.origin} {
			go func() {
				sum, err := pump(c, size, uint64(i))
				sent <- result{sum, err}
			}()
			go func() {
				h := sha256.New()
				_, err := io.Copy(h, c)
				got <- result{h.Sum(nil), err}
			}()
		}
		sums := map[string]int{}
		for range 2 {
			s, g := <-sent, <-got
			if s.err != nil || g.err != nil {
				t.Fatalf("send: %v, receive: %v", s.err, g.err)
			}
			sums[string(s.sum)]++
			sums[string(g.sum)]++
		}
		for sum, n := range sums {
			if n != 2 {
				t.Errorf("hash %x seen %d times, want 2: what was received is not what was sent", sum, n)
			}
		}
		if s := w.end(t); s.Up != int64(size) || s.Down != int64(size) || s.Err != nil {
			t.Errorf("stats = %+v, want %d both ways and no error", s, size)
		}
	})
}

func TestPrefixComesFirst(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, network string, o Options) {
		o.Prefix = []byte("first ")
		w := start(t, network, o)
		io.WriteString(w.client, "second")
		w.client.CloseWrite()
		got, err := io.ReadAll(w.origin)
		if err != nil || string(got) != "first second" {
			t.Errorf("origin got %q, %v; want %q", got, err, "first second")
		}
		w.origin.Close()
		if s := w.end(t); s.Up != 12 || s.Down != 0 || s.Err != nil {
			t.Errorf("stats = %+v, want 12 up, 0 down, no error", s)
		}
	})
}

func TestHalfClose(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, network string, o Options) {
		for _, up := range []bool{true, false} {
			w := start(t, network, o)
			first, second := w.client, w.origin
			if !up {
				first, second = second, first
			}
			io.WriteString(first, "question")
			first.CloseWrite()
			if got, err := io.ReadAll(second); err != nil || string(got) != "question" {
				t.Errorf("up=%v: got %q, %v before the end of the stream", up, got, err)
			}
			io.WriteString(second, "answer")
			second.CloseWrite()
			if got, err := io.ReadAll(first); err != nil || string(got) != "answer" {
				t.Errorf("up=%v: got %q, %v after the half-close, want the answer", up, got, err)
			}
			if s := w.end(t); s.Err != nil {
				t.Errorf("up=%v: stats = %+v, want no error", up, s)
			}
		}
	})
}

// reset makes c's peer see a reset.
func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

func TestResetStaysReset(t *testing.T) {
	t.Parallel()
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, up := range []bool{true, false} {
				w := start(t, "tcp", Options{form: form})
				from, to := w.client, w.origin
				if !up {
					from, to = to, from
				}
				io.WriteString(from, "x")
				io.ReadFull(to, make([]byte, 1))
				reset(from)
				if n, err := to.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("up=%v: the other side read %d, %v; want connection reset", up, n, err)
				}
				if s := w.end(t); !errors.Is(s.Err, syscall.ECONNRESET) {
					t.Errorf("up=%v: stats = %+v, want connection reset", up, s)
				}
			}
		})
	}
}

func TestResetAfterHalfCloseIsSeen(t *testing.T) {
	t.Parallel()
	for _, form := range []form{formBest, formGoroutine, formBuffer} {
		w := start(t, "tcp", Options{form: form})
		w.client.CloseWrite()
		if _, err := io.ReadAll(w.origin); err != nil {
			t.Fatal(err)
		}
		reset(w.client)
		if _, err := w.origin.Read(make([]byte, 1)); err == nil {
			t.Error("the origin read something")
		}
		if s := w.end(t); s.Err == nil {
			t.Error("stats have no error after a reset")
		}
	}
}

func TestSlowReaderHoldsTheSenderBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, network string, o Options) {
		w := start(t, network, o)
		chunk, sent := bytes.Repeat([]byte("x"), 64<<10), 0
		for sent < 256<<20 {
			w.origin.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			n, err := w.origin.Write(chunk)
			sent += n
			if err != nil {
				break
			}
		}
		if sent >= 64<<20 {
			t.Errorf("%d MiB were taken for a client that reads nothing", sent>>20)
		}
		w.origin.CloseWrite()
		if n, err := io.Copy(io.Discard, w.client); err != nil || n != int64(sent) {
			t.Errorf("the client got %d bytes, %v; want %d", n, err, sent)
		}
		w.client.Close()
		w.end(t)
	})
}

func TestCloseFromOutside(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, network string, o Options) {
		o.Shared = true
		w := start(t, network, o)
		io.WriteString(w.client, "x")
		io.ReadFull(w.origin, make([]byte, 1))
		w.inner[0].Close()
		for _, c := range []net.Conn{w.client, w.origin} {
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("read = %v, want EOF", err)
			}
		}
		if s := w.end(t); !errors.Is(s.Err, net.ErrClosed) || s.Up != 1 {
			t.Errorf("stats = %+v, want 1 byte up and net.ErrClosed", s)
		}
	})
}

// panicky is a foreign connection type with a bug.
type panicky struct{ net.Conn }

func (panicky) Read([]byte) (int, error) { panic("bug") }

func TestPanicSurfacesInTheCaller(t *testing.T) {
	t.Parallel()
	_, in := net.Pipe()
	out, _ := net.Pipe()
	defer func() {
		if recover() == nil {
			t.Error("the panic of a connection was swallowed")
		}
	}()
	Run(in, panicky{out}, Options{})
}
