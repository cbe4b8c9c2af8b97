// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package naive

import (
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"strings"
)

// proxy is what is tested: the usual sixty lines. It is left as people write it.
type proxy struct {
	allowed map[string]bool
	forward *httputil.ReverseProxy
}

// serve runs the proxy with the host names in the file, one a line.
func serve(l net.Listener, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	p := &proxy{allowed: map[string]bool{}, forward: &httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}}}
	for _, name := range strings.Fields(string(text)) {
		p.allowed[name] = true
	}
	return http.Serve(l, p)
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if !p.allowed[host] {
		http.Error(w, r.Host+" is not allowed", http.StatusForbidden)
		return
	}
	if r.Method != http.MethodConnect {
		p.forward.ServeHTTP(w, r)
		return
	}
	origin, err := net.Dial("tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	client, early, err := w.(http.Hijacker).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	io.WriteString(client, "HTTP/1.1 200 Connection Established\r\n\r\n")
	go transfer(origin, client, early)
	go transfer(client, origin, origin)
}

func transfer(to, from net.Conn, r io.Reader) {
	defer to.Close()
	defer from.Close()
	io.Copy(to, r)
}
