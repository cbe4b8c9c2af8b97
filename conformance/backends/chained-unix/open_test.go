// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package chainedunix

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
)

// serve runs an open proxy on a Unix socket: whatever CONNECT asks for is dialled, in the words of the client.
func serve(path string) error {
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go tunnel(c.(*net.UnixConn))
	}
}

func tunnel(client *net.UnixConn) {
	defer client.Close()
	early := bufio.NewReader(client)
	r, err := http.ReadRequest(early)
	if err != nil || r.Method != http.MethodConnect {
		fmt.Fprint(client, "HTTP/1.1 400 Bad Request\r\n\r\n")
		return
	}
	dialled, err := net.Dial("tcp", r.RequestURI)
	if err != nil {
		fmt.Fprint(client, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		return
	}
	origin := dialled.(*net.TCPConn)
	defer origin.Close()
	fmt.Fprint(client, "HTTP/1.1 200 OK\r\n\r\n")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		pass(origin, early, origin.CloseWrite, client.CloseRead)
	}()
	pass(client, origin, client.CloseWrite, origin.CloseRead)
	<-ended
}

// pass copies one direction to its end, and passes the end on. Who cannot write to w reads no further.
func pass(w io.Writer, r io.Reader, endWrite, endRead func() error) {
	if _, err := io.Copy(w, r); err != nil {
		_ = endRead()
	}
	_ = endWrite()
}
