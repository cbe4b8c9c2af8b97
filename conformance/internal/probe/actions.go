// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// act tries one thing. Whether it should have worked is for the suite to say.
func act(a Action) Result {
	timeout := time.Duration(a.Timeout) * time.Millisecond
	switch a.Do {
	case "dial":
		return tryDial(a.Network, a.Address, timeout)
	case "send":
		return trySend(a.Network, a.Address, timeout)
	case "lookup":
		return tryLookup(a.Address, timeout)
	case "proxy":
		return tryProxy(a.Address, timeout)
	case "raw":
		return tryRaw()
	case "configure":
		return tryConfigure()
	case "unshare":
		return tryUnshare(a)
	}
	if r, ok := direct(a); ok {
		return r
	}
	return tryDoor(a)
}

func failed(err error) Result { return Result{Detail: err.Error()} }

// tryDial connects and sends a byte.
func tryDial(network, address string, timeout time.Duration) Result {
	c, err := net.DialTimeout(network, address, timeout)
	if err != nil {
		return failed(err)
	}
	defer c.Close()
	c.Write([]byte("x"))
	return Result{Done: true, Detail: c.RemoteAddr().String()}
}

// trySend sends a datagram and counts it as done only when something comes back or the kernel took it
// with a route to go: sending into a network without routes fails at once.
func trySend(network, address string, timeout time.Duration) Result {
	c, err := net.DialTimeout(network, address, timeout)
	if err != nil {
		return failed(err)
	}
	defer c.Close()
	if _, err := c.Write(query); err != nil {
		return failed(err)
	}
	return Result{Done: true, Detail: "sent"}
}

// query is a DNS question for "probe.example.net", type A.
var query = []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" +
	"\x05probe\x07example\x03net\x00\x00\x01\x00\x01")

func tryLookup(name string, timeout time.Duration) Result {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return failed(err)
	}
	return Result{Done: true, Detail: fmt.Sprint(addrs)}
}

// tryProxy asks the proxy of the environment for a tunnel and sends an echo through it.
func tryProxy(target string, timeout time.Duration) Result {
	addr, authorization, err := ProxyFromEnv(os.Getenv)
	if err != nil {
		return failed(err)
	}
	c, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return failed(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(timeout))
	to := &authorizer{w: c, value: authorization}
	fmt.Fprintf(to, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target)
	br := bufio.NewReader(c)
	resp := ReadResponse(br, "CONNECT")
	if !resp.OK() {
		return Result{Status: resp.Status, Detail: resp.String()}
	}
	const text = "echo, please\n"
	io.WriteString(c, text)
	back, err := br.ReadString('\n')
	if err != nil {
		return Result{Status: resp.Status, Detail: err.Error()}
	}
	return Result{Done: back == text, Status: resp.Status, Detail: resp.String()}
}
