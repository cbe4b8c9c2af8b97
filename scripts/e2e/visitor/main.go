// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Command visitor is what the end-to-end tests run inside of sandboxes and containers: a static program that knows
// nothing of proxies unless it says so, with a dialer and a resolver of its own.
//
//	visitor fetch HOST            the page http://HOST/ to standard output
//	visitor tunnel HOST           the same by CONNECT, through the proxy that HTTPS_PROXY names
//	visitor names FORMAT N PORT   look N names up and connect to each, many at a time: what came is printed as JSON
//	visitor seek FORMAT N PORT    the same by CONNECT, too, once standard input has ended ("ready" is printed first)
//	visitor hostile TIME PROBE    try every way out for so long, PROBE being the suite's probe; a JSON summary
//	visitor serve PATH            a Unix socket that says hello, to find out who can reach it
//	visitor hold                  nothing, until standard input has ended
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "visitor:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "fetch":
		return fetch(dial, args[1])
	case len(args) == 2 && args[0] == "tunnel":
		return fetch(tunnel, args[1])
	case len(args) == 4 && args[0] == "names":
		return names(args[1], args[2], args[3], dial)
	case len(args) == 4 && args[0] == "seek":
		fmt.Println("ready")
		if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
			return err
		}
		return names(args[1], args[2], args[3], dial, tunnel)
	case len(args) == 3 && args[0] == "hostile":
		return hostile(args[1], args[2])
	case len(args) == 2 && args[0] == "serve":
		return serve(args[1])
	case len(args) == 1 && args[0] == "hold":
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}
	return errors.New("see the source for what it can be told")
}

// dialer is how a connection is made: past the proxy, or through it.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// resolver asks a name server that it was never told to ask, as programs with a resolver of their own do.
var resolver = &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, "9.9.9.9:53")
}}

// dial resolves and connects by itself, the first IPv4 address first, and knows no proxy.
func dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs := []string{host}
	if net.ParseIP(host) == nil {
		if addrs, err = resolver.LookupHost(ctx, host); err != nil {
			return nil, err
		}
	}
	var errs []error
	for _, a := range addrs {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(a, port))
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// fetch prints the page at / of host.
func fetch(how dialer, host string) error {
	c := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: how}}
	r, err := c.Get("http://" + host + "/")
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", host, r.Status)
	}
	_, err = io.Copy(os.Stdout, r.Body)
	return err
}

// serve answers on a Unix socket until standard input has ended.
func serve(path string) error {
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		l.Close()
	}()
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(c, "hello")
		c.Close()
	}
}
