// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clientResult is what a client prints when it is done.
type clientResult struct {
	Count   int     `json:"count"`   // tunnels set up
	Failed  int     `json:"failed"`  // tunnels that were not
	Bytes   int64   `json:"bytes"`   // received, or sent
	Seconds float64 `json:"seconds"` // of the measured part
	P50     float64 `json:"p50"`     // µs from connect to the first byte from the origin
	P99     float64 `json:"p99"`
}

// client makes load. It prints "start" when the warm-up is over, and then a clientResult.
type client struct {
	proxy, target netip.AddrPort
	connect       bool // ask for the target by CONNECT
	count         int
	warm, run     time.Duration
	from          netip.Addr

	p         *poller
	head      []byte
	measuring bool
	result    clientResult
	times     []int32 // µs
	err       error   // of a connection that could not even be begun
}

// States of a connection.
const (
	stateConnecting = iota
	stateReply      // waiting for the proxy's 200
	stateAsked      // waiting for the origin's byte
	stateRunning
)

func runClient(args []string) error {
	f := flag.NewFlagSet("client", flag.ContinueOnError)
	kind := f.String("kind", "setup", "setup, down, up, hold or once")
	proxy := f.String("proxy", "", "address of the proxy, or env for that of HTTPS_PROXY")
	target := f.String("target", "", "address of the origin")
	c := &client{}
	f.BoolVar(&c.connect, "connect", false, "ask by CONNECT")
	f.IntVar(&c.count, "n", 1, "clients, streams or tunnels")
	f.DurationVar(&c.warm, "warm", 0, "time before the measurement")
	f.DurationVar(&c.run, "run", time.Second, "time of the measurement")
	from := f.String("from", "", "local address")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *proxy == "env" {
		*proxy = strings.TrimSuffix(strings.TrimPrefix(os.Getenv("HTTPS_PROXY"), "http://"), "/")
	}
	var err1, err2, err3, err4 error
	c.proxy, err1 = netip.ParseAddrPort(*proxy)
	c.target, err2 = netip.ParseAddrPort(*target)
	if *from != "" {
		c.from, err3 = netip.ParseAddr(*from)
	}
	c.p, err4 = newPoller()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	c.head = fmt.Appendf(nil, "CONNECT %[1]s HTTP/1.1\r\nHost: %[1]s\r\nUser-Agent: bench\r\n\r\n", c.target)
	switch *kind {
	case "setup":
		return c.setups()
	case "down":
		return c.streams(opSend)
	case "up":
		return c.streams(opDiscard)
	case "hold":
		return c.hold()
	case "once":
		return c.once()
	}
	return fmt.Errorf("bench: no client of kind %q", *kind)
}

// begin starts a connection that will ask the origin for op.
func (c *client) begin(op byte) {
	fd, err := connectTCP(c.proxy, c.from)
	if err != nil {
		c.result.Failed++
		c.err = err
		return
	}
	s := &sock{fd: fd, op: op, started: time.Now().UnixNano(), ready: c.step}
	if err := c.p.add(s, unix.EPOLLOUT); err != nil {
		c.err = err
	}
}

// step moves a connection on.
func (c *client) step(s *sock, events uint32) {
	switch s.state {
	case stateConnecting:
		if e, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || e != 0 {
			c.fail(s, fmt.Errorf("bench: connect: %w", unix.Errno(e)))
			return
		}
		c.p.want(s, unix.EPOLLIN)
		if c.connect {
			s.state = stateReply
			unix.Write(s.fd, c.head)
			return
		}
		c.ask(s)
	case stateReply:
		c.reply(s)
	case stateAsked:
		c.answer(s)
	case stateRunning:
		c.stream(s)
	}
}

// reply takes the proxy's answer. It looks at the bytes before it takes them, so as to leave the origin's alone.
func (c *client) reply(s *sock) {
	var buf [1024]byte
	n, _, err := unix.Recvfrom(s.fd, buf[:], unix.MSG_PEEK)
	if err == unix.EAGAIN {
		return
	}
	end := strings.Index(string(buf[:max(n, 0)]), "\r\n\r\n")
	switch {
	case n <= 0 || n >= 12 && string(buf[9:12]) != "200" || n == len(buf):
		c.fail(s, fmt.Errorf("bench: the proxy answered %q, %w", buf[:max(n, 0)], err))
	case end >= 0:
		unix.Read(s.fd, buf[:end+4])
		c.ask(s)
	}
}

// ask sends the byte that tells the origin what to do.
func (c *client) ask(s *sock) {
	s.state = stateAsked
	unix.Write(s.fd, []byte{s.op})
	if s.op == opSend || s.op == opDiscard {
		s.state = stateRunning
		if s.op == opDiscard {
			c.p.want(s, unix.EPOLLOUT)
		}
	}
}

// answer takes the origin's byte and, where that is all, the end of the stream.
func (c *client) answer(s *sock) {
	var buf [16]byte
	n, err := unix.Read(s.fd, buf[:])
	switch {
	case err == unix.EAGAIN:
	case n > 0 && s.n == 0:
		s.n = n
		c.done(s)
		if s.op == opOnce {
			// Most of the time the end is there already.
			if n, err := unix.Read(s.fd, buf[:]); n == 0 && err == nil {
				c.again(s)
			}
		}
	case n == 0 && s.n > 0:
		c.again(s)
	default:
		c.fail(s, fmt.Errorf("bench: no answer from the origin: %w", err))
	}
}

// done counts a tunnel.
func (c *client) done(s *sock) {
	if c.measuring {
		c.result.Count++
		c.times = append(c.times, int32((time.Now().UnixNano()-s.started)/1000))
	}
}

// again ends a connection and begins the next.
func (c *client) again(s *sock) {
	op := s.op
	c.p.drop(s)
	c.begin(op)
}

func (c *client) fail(s *sock, err error) {
	c.p.drop(s)
	c.result.Failed++
	c.err = err
	if s.op == opOnce {
		c.begin(s.op)
	}
}

// stream takes or sends what it can.
func (c *client) stream(s *sock) {
	var n int
	over := false
	if s.op == opSend {
		n, over = discard(s.fd, 1<<20)
	} else {
		var err error
		n, err = unix.Write(s.fd, chunk)
		over = err != nil && err != unix.EAGAIN
	}
	if c.measuring && n > 0 {
		c.result.Bytes += int64(n)
	}
	if over {
		c.fail(s, errors.New("bench: a stream ended early"))
	}
}

// phases runs the warm-up and the measurement.
func (c *client) phases() error {
	for _, phase := range []struct {
		measure bool
		length  time.Duration
	}{{false, c.warm}, {true, c.run}} {
		began := time.Now()
		if phase.measure {
			c.measuring, c.result.Failed = true, 0
			fmt.Println("start")
		}
		for time.Since(began) < phase.length {
			if err := c.p.turn(10); err != nil {
				return err
			}
			if len(c.p.socks) == 0 {
				return fmt.Errorf("bench: no connection is left: %w", c.err)
			}
		}
		c.result.Seconds = time.Since(began).Seconds()
	}
	slices.Sort(c.times)
	if n := len(c.times); n > 0 {
		c.result.P50, c.result.P99 = float64(c.times[n/2]), float64(c.times[n*99/100])
	}
	if c.result.Failed > 0 {
		fmt.Fprintln(os.Stderr, "bench: the last failure:", c.err)
	}
	return json.NewEncoder(os.Stdout).Encode(c.result)
}

func (c *client) setups() error {
	for range c.count {
		c.begin(opOnce)
	}
	return c.phases()
}

func (c *client) streams(op byte) error {
	for range c.count {
		c.begin(op)
	}
	return c.phases()
}

// hold opens tunnels one after the other, says "start", and keeps them until its standard input ends.
func (c *client) hold() error {
	c.measuring = true
	for i := range c.count {
		began := time.Now()
		c.begin(opEcho)
		for c.result.Count <= i {
			if err := c.p.turn(1000); err != nil {
				return err
			}
			if c.result.Failed > 0 {
				return fmt.Errorf("bench: tunnel %d: %w", i, c.err)
			}
			if time.Since(began) > 10*time.Second {
				return fmt.Errorf("bench: tunnel %d: no answer within 10 s: the proxy may have no descriptor left", i)
			}
		}
	}
	fmt.Println("start")
	io.Copy(io.Discard, bufio.NewReader(os.Stdin))
	return json.NewEncoder(os.Stdout).Encode(c.result)
}

// once makes one tunnel and ends.
func (c *client) once() error {
	c.measuring = true
	for c.begin(opOnce); c.result.Count == 0; {
		if err := c.p.turn(10_000); err != nil {
			return err
		}
		if c.err != nil {
			return c.err
		}
	}
	return nil
}
