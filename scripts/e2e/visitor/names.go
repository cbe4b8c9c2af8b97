// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A meeting is what came of one name.
type meeting struct {
	Name string
	// Answers are what the origins said, by the way of the dialers, one each: the address that was reached. "" is that
	// none was reached.
	Answers []string
	// Why is the last error, for people.
	Why string
}

// names meets the origins of n names at a port, each by every dialer, and prints what they said, in the names' order.
// An origin says its own address in a line.
func names(format, count, port string, how ...dialer) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	all := make([]meeting, n)
	slots := make(chan struct{}, 32)
	var wg sync.WaitGroup
	for i := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			all[i] = meet(fmt.Sprintf(format, i), port, how)
		})
	}
	wg.Wait()
	return json.NewEncoder(os.Stdout).Encode(all)
}

func meet(name, port string, how []dialer) meeting {
	m := meeting{Name: name}
	for _, d := range how {
		said, err := listen(d, net.JoinHostPort(name, port))
		if err != nil {
			m.Why = err.Error()
		}
		m.Answers = append(m.Answers, said)
	}
	return m
}

// listen returns the line that the origin at address says.
func listen(how dialer, address string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := how(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line), err
}

// tunnel asks the proxy of the environment for a connection.
func tunnel(ctx context.Context, _, address string) (net.Conn, error) {
	c, err := toProxy(ctx)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", address, address)
	r := bufio.NewReader(c)
	answer, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return &buffered{c, r}, nil
}

// toProxy connects to the proxy that HTTPS_PROXY names.
func toProxy(ctx context.Context) (net.Conn, error) {
	u, err := url.Parse(os.Getenv("HTTPS_PROXY"))
	if err != nil || u.Host == "" {
		return nil, errors.New("HTTPS_PROXY names no proxy")
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
}

// buffered is a connection of which some has been read already.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }
