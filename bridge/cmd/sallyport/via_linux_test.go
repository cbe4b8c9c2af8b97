// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// viaAddr is where test proxies dial from, so that an origin can tell what came through one
// from what came directly.
const viaAddr = "127.0.0.9"

// via is a CONNECT proxy that sends everything to the port that was asked for on loopback,
// whatever name was, and remembers what that was.
type via struct {
	user, password string // "" asks for none
	status         int    // 0: as it is; else what everybody is answered

	mu   sync.Mutex
	seen []string
}

// asked gives what was asked for so far.
func (v *via) asked() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(v.seen, " ")
}

// startVia serves v until the test ends, and returns the URL of a proxy on TCP or on a Unix socket.
func startVia(t *testing.T, v *via, network, addr string) (url string) {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { v.serve(l) })
	t.Cleanup(func() { l.Close(); wg.Wait() })
	if network == "unix" {
		return "unix://" + addr
	}
	return "http://" + l.Addr().String()
}

// serve accepts until l is closed.
func (v *via) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go v.handle(c) // ends with its client, which the tests end
	}
}

func (v *via) handle(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	v.mu.Lock()
	v.seen = append(v.seen, req.Host)
	v.mu.Unlock()
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(v.user+":"+v.password))
	switch {
	case v.status != 0:
		fmt.Fprintf(c, "HTTP/1.1 %d Whatever\r\nX-Upstream: told\r\nContent-Length: 5\r\n\r\ntold\n", v.status)
		return
	case v.user != "" && req.Header.Get("Proxy-Authorization") != basic:
		fmt.Fprint(c, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n")
		return
	}
	_, port, _ := net.SplitHostPort(req.Host)
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(viaAddr)}}
	o, err := d.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		fmt.Fprint(c, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
		return
	}
	defer o.Close()
	fmt.Fprint(c, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		_, _ = io.Copy(o, r)
		o.Close()
	}()
	_, _ = io.Copy(c, o)
}

// actAsProxy is a proxy program: it says its process id and listens at a port, or at the path of a socket.
func actAsProxy(args []string) {
	network, addr := "tcp", "127.0.0.1:"+args[0]
	if strings.HasPrefix(args[0], "/") {
		network, addr = "unix", args[0]
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		fmt.Println("cannot listen:", err)
		os.Exit(3)
	}
	fmt.Printf("proxy of process %d at %s\n", os.Getpid(), addr)
	(&via{}).serve(l)
}

// impostor listens at the path of a socket, asks for target, and prints what came to the socket.
func impostor(path, target string) {
	l, err := net.Listen("unix", path)
	if err != nil {
		fmt.Println("cannot listen:", err)
		os.Exit(3)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			head, _ := http.ReadRequest(bufio.NewReader(c))
			fmt.Println("the impostor was told", head.Header)
			c.Close()
		}
	}()
	if err := connectOne(target, false); err != nil {
		fmt.Println("no answer")
	}
	os.Exit(0)
}

// witness is an origin on loopback that knows who came directly.
type witness struct {
	addr string
	port string

	mu             sync.Mutex
	direct, behind int
}

// startWitness greets every connection with a line. With stream it goes on to send for ever.
func startWitness(t *testing.T, stream bool) *witness {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{addr: l.Addr().String()}
	_, w.port, _ = net.SplitHostPort(w.addr)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.count(c)
			wg.Go(func() { serveOrigin(t, c, stream) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return w
}

func (w *witness) count(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.HasPrefix(c.RemoteAddr().String(), viaAddr+":") {
		w.behind++
	} else {
		w.direct++
	}
}

func serveOrigin(t *testing.T, c net.Conn, stream bool) {
	stop := make(chan struct{})
	defer close(stop)
	defer c.Close()
	go func() {
		select {
		case <-t.Context().Done():
			c.Close()
		case <-stop:
		}
	}()
	fmt.Fprintln(c, "hello")
	if !stream {
		_, _ = io.Copy(io.Discard, c)
		return
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := c.Write(make([]byte, 16<<10)); err != nil {
			return
		}
	}
}

// past is how many connections came directly.
func (w *witness) past() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.direct
}

// want checks how many connections came through a proxy, and that none came directly.
func (w *witness) want(t *testing.T, behind int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.direct != 0 || w.behind != behind {
		t.Errorf("the origin saw %d connections through the other proxy and %d directly, want %d and 0", w.behind, w.direct, behind)
	}
}

// download reads from ten tunnels to target until they end, tells when they have begun and
// ended, and then asks for next.
func download(target, next string) {
	const tunnels = 10
	var begun, ended sync.WaitGroup
	for range tunnels {
		begun.Add(1)
		ended.Go(func() { downloadOne(target, begun.Done) })
	}
	begun.Wait()
	fmt.Println("begun")
	ended.Wait()
	fmt.Println("ended")
	if err := connectOne(next, false); err != nil {
		fmt.Println("no answer")
	}
	os.Exit(0)
}

func downloadOne(target string, begun func()) {
	c, err := net.Dial("tcp", strings.TrimPrefix(os.Getenv("HTTPS_PROXY"), "http://"))
	if err != nil {
		fmt.Println("download:", err)
		begun()
		return
	}
	defer c.Close()
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target)
	if _, err := io.CopyN(io.Discard, c, 100<<10); err != nil {
		fmt.Println("download:", err)
	}
	begun()
	_, _ = io.Copy(io.Discard, c)
}

// origin listens on loopback, greets every connection with a line, and keeps
// it open until the test ends or the peer closes it.
func origin(t *testing.T) (target string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				stop := make(chan struct{})
				defer close(stop)
				go func() {
					select {
					case <-t.Context().Done():
						c.Close()
					case <-stop:
					}
				}()
				fmt.Fprintln(c, "hello")
				_, _ = io.Copy(io.Discard, c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}
