// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Served is what OpServe says on its standard output: first where it listens, and once its standard input has ended,
// who came.
type Served struct {
	// At are actions that reach it, from wherever it can be reached.
	At []Action `json:"at"`
	// Came is how many connections there were.
	Came int64 `json:"came"`

	mine int64 // connections of its own, which are not among Came
}

// serveOthers listens on the loopback interface, on an abstract socket and on one in dir, as far as it can.
func serveOthers(dir string) error {
	name := fmt.Sprintf("egress-conformance-neighbor-%d-%d", os.Getpid(), time.Now().UnixNano())
	var s Served
	var came atomic.Int64
	for _, at := range []Action{
		{Do: "dial", Network: "tcp4", Address: "127.0.0.1:0"},
		{Do: "dial", Network: "tcp6", Address: "[::1]:0"},
		{Do: "dial-unix", Network: "unix", Address: "@" + name},
		{Do: "dial-unix", Network: "unix", Address: filepath.Join(dir, "neighbor")},
	} {
		l, err := net.Listen(at.Network, at.Address)
		if err != nil {
			continue
		}
		defer l.Close()
		at.Address = l.Addr().String()
		s.At = append(s.At, at)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				came.Add(1)
				c.Close()
			}
		}()
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(s); err != nil {
		return err
	}
	// Every line of standard input is answered, so that the one who asks knows that all who came were counted: they
	// stand in the queues in front of what asks.
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := s.flush(&came); err != nil {
			return err
		}
		if err := out.Encode(s); err != nil {
			return err
		}
	}
	return lines.Err()
}

// flush connects to every listener itself and waits until these have been counted: who came before has been, too.
func (s *Served) flush(came *atomic.Int64) error {
	own := int64(0)
	for _, at := range s.At {
		c, err := net.Dial(at.Network, at.Address)
		if err != nil {
			continue
		}
		_, err = io.Copy(io.Discard, c) // until it is accepted and closed
		own++
		if err := errors.Join(err, c.Close()); err != nil {
			return err
		}
	}
	s.mine += own
	s.Came = came.Load() - s.mine
	return nil
}

// tryPage asks the proxy of the environment, as one asks a server, for one of its own pages.
func tryPage(a Action) Result {
	addr, _, err := ProxyFromEnv(os.Getenv)
	if err != nil {
		return failed(err)
	}
	timeout := time.Duration(a.Timeout) * time.Millisecond
	c, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return failed(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(timeout))
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", a.Address, addr)
	resp := ReadResponse(bufio.NewReader(c), "GET")
	return Result{Done: resp.OK(), Status: resp.Status, Detail: resp.String()}
}
