// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore/relay"
)

func init() { roles["soak"] = soakRole }

// soakRole keeps COUNT tunnels busy until its standard input ends, each with one
// random life after the other, and then says how many there were.
func soakRole() {
	count, _ := strconv.Atoi(os.Getenv("COUNT"))
	idle, _ := time.ParseDuration(os.Getenv("IDLE"))
	over := make(chan struct{})
	var lives, wrong atomic.Int64
	var wg sync.WaitGroup
	fmt.Println("ready")
	for i := range count {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for !isClosed(over) {
				if err := life(rng, idle, over); err != nil {
					if wrong.Add(1) == 1 {
						fmt.Fprintln(os.Stderr, "soak:", err)
					}
				}
				lives.Add(1)
			}
		})
	}
	io.Copy(io.Discard, os.Stdin)
	close(over)
	wg.Wait()
	fmt.Println(lives.Load(), wrong.Load())
}

// life is that of one tunnel: some bytes there and back, and a random end.
func life(rng *rand.Rand, idle time.Duration, over <-chan struct{}) error {
	// Many addresses, so that no port is waited for.
	from := net.IPv4(127, 0, 1, byte(1+rng.IntN(250)))
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}).Dial("tcp", os.Getenv("PROXY"))
	if err != nil {
		return err
	}
	c := conn.(*net.TCPConn)
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	reply := make([]byte, len(established))
	last := time.Now() // no later than the last byte that the proxy saw before what comes
	io.WriteString(c, head(os.Getenv("TARGET")))
	if _, err := io.ReadFull(c, reply); err != nil || string(reply) != established {
		return fmt.Errorf("the reply %q: %w", reply, err)
	}
	for range rng.IntN(4) {
		sent := make([]byte, 1+rng.IntN(1<<(4+rng.IntN(14))))
		for i := range sent {
			sent[i] = byte(rng.Uint32())
		}
		began := last
		last = time.Now()
		go c.Write(sent)
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
			if time.Since(began) > idle {
				return nil // it was not its turn for so long that the limit was right to end it
			}
			return fmt.Errorf("%d bytes did not come back as they were: %w", len(sent), err)
		}
	}
	switch rng.IntN(4) {
	case 0: // half-close: the origin ends, too
		c.CloseWrite()
		if n, err := io.Copy(io.Discard, c); n != 0 || err != nil { // the idle limit ends it no differently
			return fmt.Errorf("after a half-close: %d bytes, %w", n, err)
		}
	case 1: // reset, with bytes under way
		c.Write(make([]byte, 1<<10))
		c.SetLinger(0)
	case 2: // idle, until the proxy ends it
		read := make(chan error, 1)
		go func() { _, err := c.Read(make([]byte, 1)); read <- err }()
		select {
		case err := <-read:
			if err != io.EOF {
				return fmt.Errorf("the end of an idle tunnel: %w", err)
			}
		case <-over:
		}
	}
	return nil
}

// TestSoak: whatever tunnels do, nothing of them is left. It takes as long as
// SALLYPORT_SOAK says (10m, say), with 5,000 tunnels at a time, or else a second with
// 200. Not parallel: it counts what the process holds.
func TestSoak(t *testing.T) {
	length, tunnels, idle := time.Second, 200, 500*time.Millisecond
	if d, err := time.ParseDuration(os.Getenv("SALLYPORT_SOAK")); err == nil {
		// So many take turns: a tunnel may well wait for seconds until its end has the processor.
		length, tunnels, idle = d, 5000, 15*time.Second
	}
	target, endOrigin := child(t, "origin")
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	h, err := BuiltIn{Config: Config{Filter: allowing(t, target), IdleTimeout: idle}}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	before := inUse()
	_, end := child(t, "soak", "PROXY="+h.Addr(), "TARGET="+target, fmt.Sprintf("COUNT=%d", tunnels), "IDLE="+idle.String())
	<-time.After(length)
	most := inUse()
	end()
	// The listener and the loops are all that stays until Close.
	eventually(t, "descriptors after the clients have gone", files+2+runtime.GOMAXPROCS(0)+relay.MaxPipeDescriptors, func() int { return descriptors(t) })
	eventually(t, "goroutines after the clients have gone", goroutines+2+runtime.GOMAXPROCS(0), runtime.NumGoroutine)
	h.Close()
	endOrigin()
	eventually(t, "descriptors after Close", files, func() int { return descriptors(t) })
	eventually(t, "goroutines after Close", goroutines, runtime.NumGoroutine)
	after := inUse()
	t.Logf("%v with %d tunnels at a time: %d KiB in use before, %d meanwhile, %d after", length, tunnels, before>>10, most>>10, after>>10)
	if after > before+(4<<20) {
		t.Errorf("%d KiB are in use after, %d before", after>>10, before>>10)
	}
}
