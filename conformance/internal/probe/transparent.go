// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Operations for sandboxes that capture what goes past the proxy.
const (
	OpTalk   = "talk"   // answers every line of standard input, a []Action in JSON, with a line, a []Result
	OpDirect = "direct" // as pipe, but to the address of the action in the third argument, past the proxy
)

// How the attempt to carry something ended, in Result.End.
const (
	Carried     = "carried"     // a line came
	Reset       = "reset"       // the connection was reset
	Closed      = "closed"      // it ended in good order
	Refused     = "refused"     // nothing listens there, or ICMP says so
	Unreachable = "unreachable" // there is no way there
	Silent      = "silent"      // neither an answer nor an end in time
	Unresolved  = "unresolved"  // the name has no address
	Broken      = "broken"      // anything else
)

// direct knows nothing of proxies; ok is false for actions of another file.
func direct(a Action) (r Result, ok bool) {
	timeout := time.Duration(a.Timeout) * time.Millisecond
	switch a.Do {
	case "carry", "early", "listen", "abandon":
		return tryCarry(a, timeout), true
	case "datagram":
		return tryDatagram(a, timeout), true
	case "query":
		return tryQuery(a, timeout), true
	case "resolved":
		return tryResolved(a, timeout), true
	case "routes":
		return tryRoutes(), true
	case "local":
		return tryLocal(a, timeout), true
	case "together":
		return tryTogether(a), true
	}
	return Result{}, false
}

// talk serves actions until standard input ends.
func talk(in io.Reader, out io.Writer) error {
	d, e := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var actions []Action
		if err := d.Decode(&actions); err != nil {
			return ignoreEOF(err)
		}
		results := make([]Result, len(actions))
		for i, a := range actions {
			results[i] = timed(a)
		}
		if err := e.Encode(results); err != nil {
			return err
		}
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func timed(a Action) Result {
	begin := time.Now()
	r := act(a)
	r.Action, r.Millis = a, time.Since(begin).Milliseconds()
	return r
}

// tryTogether does all the actions at the same time.
func tryTogether(a Action) Result {
	r := Result{Done: true, All: make([]Result, len(a.All))}
	var wg sync.WaitGroup
	for i, one := range a.All {
		wg.Go(func() {
			one.Timeout = a.Timeout
			r.All[i] = timed(one)
		})
	}
	wg.Wait()
	return r
}

// plainly connects as a program does that has never heard of proxies: it asks the resolver for the addresses of its
// family, and takes the first. The name is one with a dot at the end, so that no search list comes into it.
func plainly(network, address string, timeout time.Duration) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return net.DialTimeout(network, address, timeout)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, strings.Replace(network, "tcp", "ip", 1), strings.TrimSuffix(host, ".")+".")
	if err != nil {
		return nil, err
	}
	return net.DialTimeout(network, net.JoinHostPort(addrs[0].Unmap().String(), port), timeout)
}

// tryCarry connects, sends a line and waits for it to come back; "early" ends its side at once behind the line; "listen" sends nothing, and waits for any line, and so
// does "abandon", which then resets the connection.
func tryCarry(a Action, timeout time.Duration) Result {
	c, err := plainly(a.Network, a.Address, timeout)
	if err != nil {
		return Result{End: end(err), Detail: err.Error()}
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(timeout))
	text := fmt.Sprintf("carry %s\n", a.Address)
	if a.Do == "carry" || a.Do == "early" {
		io.WriteString(c, text) // what cannot be sent cannot come back either
	}
	if a.Do == "early" {
		c.(*net.TCPConn).CloseWrite()
	}
	r := Result{At: c.RemoteAddr().String()}
	r.Said, err = bufio.NewReader(c).ReadString('\n')
	if err != nil {
		r.End, r.Detail = end(err), err.Error()
		return r
	}
	if a.Do == "abandon" {
		c.(*net.TCPConn).SetLinger(0)
	}
	r.Done, r.End, r.Detail = a.Do == "listen" || a.Do == "abandon" || r.Said == text, Carried, fmt.Sprintf("%q from %s", r.Said, r.At)
	return r
}

func end(err error) string {
	var lookup *net.DNSError
	switch {
	case errors.As(err, &lookup) && lookup.IsTimeout:
		return Silent
	case errors.As(err, &lookup):
		return Unresolved
	case errors.Is(err, io.EOF):
		return Closed
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return Reset
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL),
		errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EINVAL):
		return Unreachable
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Silent
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return Silent
	}
	return Broken
}

// tryDatagram sends a datagram and waits for what comes back, an answer or an ICMP error.
func tryDatagram(a Action, timeout time.Duration) Result {
	c, err := net.DialTimeout(a.Network, a.Address, timeout)
	if err != nil {
		return Result{End: end(err), Detail: err.Error()}
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(timeout))
	_, err = c.Write(query)
	if err == nil {
		_, err = c.Read(make([]byte, 64<<10))
	}
	if err != nil {
		return Result{End: end(err), Detail: err.Error()}
	}
	return Result{Done: true, End: Carried, Detail: "an answer"}
}

// tryResolved asks the proxy of the environment for a tunnel to an address of the name rather than for the name: the
// client that resolves first.
func tryResolved(a Action, timeout time.Duration) Result {
	host, port, err := net.SplitHostPort(a.Address)
	if err != nil {
		return failed(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, a.Network, host+".")
	if err != nil {
		return Result{End: end(err), Detail: err.Error()}
	}
	r := tryProxy(net.JoinHostPort(addrs[0].Unmap().String(), port), timeout)
	r.At = addrs[0].String()
	return r
}

// serveDirect is servePipe past the proxy.
func serveDirect(arg string) error {
	var a Action
	if err := json.Unmarshal([]byte(arg), &a); err != nil {
		return err
	}
	return carryPipe(os.Stdin, os.Stdout, "", func() (net.Conn, error) {
		return plainly(a.Network, a.Address, time.Duration(a.Timeout)*time.Millisecond)
	})
}

// tryLocal is two programs that talk to each other on the loopback interface: one listens, one says a line.
func tryLocal(a Action, timeout time.Duration) Result {
	l, err := net.Listen(a.Network, a.Address)
	if err != nil {
		return failed(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err == nil {
			io.Copy(c, c)
			c.Close()
		}
	}()
	return tryCarry(Action{Do: "carry", Network: a.Network, Address: a.Address}, timeout)
}
