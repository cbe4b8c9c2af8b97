// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// visit takes steps that a program which knows of no proxy could take, and prints what came
// of each in a line.
func visit(steps []string) error {
	for _, step := range steps {
		f := strings.Fields(step)
		var got string
		var err error
		switch f[0] {
		case "http":
			got, err = visitHTTP(f[1], f[2])
		case "read":
			got, err = visitRead(f[1], f[2])
		case "serve":
			got, err = visitOwn(f[1], f[2])
		case "ask":
			got, err = ask(f[1], f[2], f[3])
		}
		if err != nil {
			got = reason(err)
		}
		fmt.Println(got)
	}
	return nil
}

// reason is what an error means to a program.
func reason(err error) string {
	var no syscall.Errno
	var dns *net.DNSError
	switch {
	case errors.As(err, &no):
		return unix.ErrnoName(no)
	case errors.As(err, &dns):
		return dns.Err
	}
	return err.Error()
}

func dialPatiently(network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: patience, Resolver: &net.Resolver{PreferGo: true}}
	c, err := d.Dial(network, address)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(patience))
	}
	return c, err
}

// visitHTTP returns what a web server says.
func visitHTTP(network, address string) (string, error) {
	c, err := dialPatiently(network, address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(res.Body)
	return strings.TrimSpace(string(body)), err
}

// visitRead returns the first line that comes unasked, or after a datagram.
func visitRead(network, address string) (string, error) {
	c, err := dialPatiently(network, address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if strings.HasPrefix(network, "udp") {
		if _, err := c.Write([]byte("x")); err != nil {
			return "", err
		}
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line), err
}

// visitOwn serves on address, and connects there.
func visitOwn(network, address string) (string, error) {
	l, err := net.Listen(network, address)
	if err != nil {
		return "", err
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			fmt.Fprintln(c, "served")
			c.Close()
		}
	}()
	return visitRead(network, l.Addr().String())
}

// ask sends a name server a query for the IPv4 addresses of name.
func ask(network, server, name string) (string, error) {
	q := dnsmessage.Message{
		Header: dnsmessage.Header{ID: uint16(os.Getpid()), RecursionDesired: true},
		Questions: []dnsmessage.Question{{
			Name: dnsmessage.MustNewName(name + "."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET,
		}},
	}
	query, err := q.Pack()
	if err != nil {
		return "", err
	}
	c, err := dialPatiently(network, server) // and so takes answers from there only
	if err != nil {
		return "", err
	}
	defer c.Close()
	reply := make([]byte, 1500)
	if network == "tcp" {
		_, err = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...))
		if err == nil {
			_, err = io.ReadFull(c, reply[:2])
		}
		if err == nil {
			reply = reply[:binary.BigEndian.Uint16(reply)]
			_, err = io.ReadFull(c, reply)
		}
	} else if _, err = c.Write(query); err == nil {
		var n int
		n, err = c.Read(reply)
		reply = reply[:n]
	}
	var m dnsmessage.Message
	if err := errors.Join(err, m.Unpack(reply)); err != nil {
		return "", err
	}
	if m.RCode != dnsmessage.RCodeSuccess || len(m.Answers) == 0 {
		return m.RCode.String()[len("RCode")-5:], nil
	}
	if a, ok := m.Answers[0].Body.(*dnsmessage.AResource); ok {
		return net.IP(a.A[:]).String(), nil
	}
	return "no address", nil
}

// withoutIPv6 opens the entrances of a sandbox where IPv6 is disabled.
func withoutIPv6(listen bool) error {
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0); err != nil {
		return err
	}
	if _, err := loopback(true); err != nil {
		return err
	}
	all, err := openEntrances(wish{Transparent: true, Capture: port443, Listen: listen})
	if err != nil {
		return err
	}
	defer closeEntrances(all)
	for _, e := range all {
		fmt.Println(e.Kind, e.IPv6)
	}
	connectEach("93.184.216.34:443", "[2001:db8::1]:443")
	return nil
}

// connectEach prints how connecting to the addresses ends.
func connectEach(addresses ...string) {
	for _, address := range addresses {
		c, err := dialPatiently("tcp", address)
		if err != nil {
			fmt.Println(reason(err))
			continue
		}
		fmt.Println("connected")
		c.Close()
	}
}

// openAgain opens the entrances of one sandbox after the other in the same namespace.
func openAgain() error {
	if _, err := loopback(true); err != nil {
		return err
	}
	for port := range 3 {
		ports := []proxycore.PortRange{{First: 443, Last: uint16(443 + port)}}
		all, err := openEntrances(wish{Transparent: true, Capture: ports})
		if err != nil {
			return err
		}
		connectEach(fmt.Sprintf("[2001:db8::1]:%d", 443+port))
		closeEntrances(all)
	}
	return nil
}
