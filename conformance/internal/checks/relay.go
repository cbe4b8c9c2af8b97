// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
)

func relayChecks() []check.Check {
	return []check.Check{
		{ID: "RELAY-001.upload", Summary: "4 MiB from client to origin arrive unchanged and whole", Run: tunnelled(upload)},
		{ID: "RELAY-001.download", Summary: "4 MiB from origin to client arrive unchanged and whole", Run: tunnelled(download)},
		{ID: "RELAY-002.slow-reader", Summary: "a client that does not read stalls nobody else", Run: slowReader},
		{ID: "RELAY-003.client-reset", Summary: "the origin's connection ends when the client resets", Run: tunnelled(clientReset)},
		{ID: "RELAY-004.origin-reset", Summary: "the client's connection ends when the origin resets", Run: tunnelled(originReset)},
		{ID: "RELAY-005.only-origin-bytes", Summary: "nothing but the origin's bytes comes through the tunnel", Run: onlyOriginBytes},
		{ID: "RELAY-006.parallel", Summary: "20 tunnels at once, each with its own bytes", Run: parallelTunnels},
		{ID: "RELAY-007.no-sockets-left", Summary: "no socket is left of tunnels that are over", Needs: []string{"tcp"}, Run: noSocketsLeft},
		{ID: "RELAY-008.only-client-bytes", Summary: "nothing but what the client sends behind its head reaches the origin", Run: onlyClientBytes},
		{ID: "RELAY-009.first-bytes", Summary: "bytes sent the moment the 200 is there arrive, in every one of many tunnels", Run: firstBytes},
	}
}

const bulk = 4 << 20

// noise is reproducible and does not compress into a pattern a broken relay could leave alone.
func noise() io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{1, 2, 3}), bulk)
}

func sum(r io.Reader) (hash.Hash, int64, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return h, n, err
}

// carry sends noise through w, ends the sending side, and compares what comes out of r.
func carry(x *check.X, kind oracle.Kind, w io.Writer, closeWrite func() error, r io.Reader) {
	want, _, _ := sum(noise())
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(w, noise())
		closeWrite()
		sent <- err
	}()
	got, n, err := sum(r)
	x.Line("Got", "%d of %d bytes", n, bulk)
	x.Saw(kind).Expect(err).NotTo(HaveOccurred())
	x.Saw(kind).Expect(n).To(BeEquivalentTo(bulk), "bytes that arrived")
	x.Saw(kind).Expect(got.Sum(nil)).To(Equal(want.Sum(nil)), "hash of the bytes")
	x.Saw(kind).Expect(<-sent).To(Succeed(), "sending")
}

func upload(x *check.X, t *check.Tunnel) {
	t.SetWriteDeadline(time.Now().Add(x.Patience()))
	t.Origin.SetReadDeadline(time.Now().Add(x.Patience()))
	carry(x, oracle.OriginStream, t.Conn, t.CloseWrite, t.Origin)
}

func download(x *check.X, t *check.Tunnel) {
	t.SetReadDeadline(time.Now().Add(x.Patience()))
	t.Origin.SetWriteDeadline(time.Now().Add(x.Patience()))
	carry(x, oracle.ClientStream, t.Origin, t.Origin.CloseWrite, t.R)
}

// slowReader fills a tunnel until nothing more goes in, and then uses others.
func slowReader(x *check.X) {
	p := x.Core()
	t := x.Tunnel(p)
	chunk := make([]byte, 64<<10)
	for sent := 0; sent < 64<<20; {
		t.Origin.SetWriteDeadline(time.Now().Add(x.Bound() / 6))
		n, err := t.Origin.Write(chunk)
		sent += n
		// A proxy that is only slow still takes something.
		if err != nil && n == 0 {
			x.Line("Sent", "%d bytes until the origin was held back", sent)
			break
		}
	}
	c := x.Client(p)
	r := c.Ask("second.example.org:443")
	x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeTrue(), "another tunnel: %s", r)
	x.Saw(oracle.ClientStream).Expect(c.Echo("another tunnel\n")).To(Succeed())
}

func clientReset(x *check.X, t *check.Tunnel) {
	t.Send("x")
	x.Saw(oracle.OriginStream).Expect(x.Receive(t.Origin, "x")).To(Succeed())
	x.Saw(oracle.ClientStream).Expect(t.Reset()).To(Succeed())
	_, err := x.OriginEnd(t.Origin)
	x.Saw(oracle.OriginStream).Expect(err).NotTo(HaveOccurred(), "after the client's reset")
}

func originReset(x *check.X, t *check.Tunnel) {
	t.Send("x")
	x.Saw(oracle.OriginStream).Expect(x.Receive(t.Origin, "x")).To(Succeed())
	t.Origin.Reset()
	_, err := t.End(x.Bound())
	x.Saw(oracle.ClientStream).Expect(err).NotTo(HaveOccurred(), "after the origin's reset")
}

func onlyOriginBytes(x *check.X) {
	t := x.Tunnel(x.Core())
	fmt.Fprint(t.Origin, "origin")
	x.Saw(oracle.ClientStream).Expect(t.Expect("origin")).To(Succeed())
	t.Origin.Reset()
	rest, err := t.End(x.Bound())
	x.Line("Got", "%.80q behind the origin's bytes", rest)
	x.Saw(oracle.ClientStream).Expect(err).NotTo(HaveOccurred())
	x.Saw(oracle.ClientStream).Expect(rest).To(BeEmpty(), "bytes the origin has not sent")
}

func parallelTunnels(x *check.X) {
	p := x.Core()
	const n = 20
	errs := make(chan error, n)
	var wg sync.WaitGroup
	for i := range n {
		conn, err := p.Dial()
		if err != nil {
			x.Fail(oracle.Lifecycle, "the proxy cannot be reached: %v", err)
		}
		wg.Go(func() {
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(x.Patience()))
			text := strings.Repeat(fmt.Sprintf("tunnel %d ", i), 2000)
			errs <- echo(conn, text)
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		x.Saw(oracle.ClientStream).Expect(err).NotTo(HaveOccurred())
	}
}

// echo opens a tunnel to the allowed host over conn and sends text through it.
func echo(conn io.ReadWriter, text string) error {
	if _, err := io.WriteString(conn, check.Head(check.AllowedTarget)); err != nil {
		return err
	}
	br := bufio.NewReader(conn)
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = br.ReadString('\n'); err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
	}
	go io.WriteString(conn, text)
	got := make([]byte, len(text))
	if n, err := io.ReadFull(br, got); err != nil {
		return fmt.Errorf("%d of %d bytes came back: %w", n, len(text), err)
	}
	if string(got) != text {
		return fmt.Errorf("other bytes came back than were sent")
	}
	return nil
}

// noSocketsLeft counts the kernel's sockets towards the origin: whatever process the proxy runs in, they
// are in this network.
func noSocketsLeft(x *check.X) {
	p := x.Core()
	addr := x.World.Addr("second.example.org")
	for range 10 {
		c := x.Client(p)
		r := c.Ask("second.example.org:443")
		x.Saw(oracle.ClientStatus).Expect(r.OK()).To(BeTrue(), "answer: %s", r)
		c.CloseWrite()
		c.End(x.Bound())
		c.Close()
	}
	var left []string
	x.Saw(oracle.Kernel).Eventually(func() []string {
		left = socketsTo(addr)
		return left
	}).WithTimeout(x.Bound()).WithPolling(10*time.Millisecond).Should(BeEmpty(), "sockets towards %s after ten tunnels", addr)
}
