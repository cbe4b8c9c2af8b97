// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// name is a host name and nothing else, because nothing else can be allowed.
var name = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*\.[a-z][a-z0-9-]*$`)

// serve is the proxy: CONNECT to ports 443 and 80 of the names. It prints where it listens and goes on until it is
// killed. A client has headTimeout to send its head. This is what is tested here, not a proxy to copy: baseline.txt says
// what it does not do.
func serve(port, headTimeout string, names []string) error {
	for i, n := range names {
		n = strings.ToLower(n)
		if !name.MatchString(n) {
			return fmt.Errorf("%q is no host name, and only those can be allowed", n)
		}
		names[i] = n
	}
	limit, err := time.ParseDuration(headTimeout)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return (&http.Server{
		ReadHeaderTimeout:            limit,
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is not for the server to answer, either
		Handler:                      http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { connect(w, r, names) }),
	}).Serve(l)
}

// connect answers one request.
func connect(w http.ResponseWriter, r *http.Request, names []string) {
	if r.Method != http.MethodConnect {
		w.Header().Set("Allow", http.MethodConnect)
		http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
		return
	}
	host, port, err := net.SplitHostPort(r.RequestURI)
	if err != nil {
		http.Error(w, "the target is a host and a port", http.StatusBadRequest)
		return
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !slices.Contains(names, host) || port != "443" && port != "80" {
		http.Error(w, r.RequestURI+" is not allowed", http.StatusForbidden)
		return
	}
	origin, err := net.DialTimeout("tcp", r.RequestURI, 10*time.Second)
	if err != nil {
		http.Error(w, r.RequestURI+" cannot be reached", http.StatusBadGateway)
		return
	}
	defer origin.Close()
	client, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	var both sync.WaitGroup
	both.Go(func() { relay(origin, buffered) })
	both.Go(func() { relay(client, origin) })
	both.Wait()
}

// relay carries one direction, and its end.
func relay(to net.Conn, from io.Reader) {
	if _, err := io.Copy(to, from); err == nil {
		to.(*net.TCPConn).CloseWrite()
		return
	}
	to.Close()
}
