// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Command goproxy is the proxy that a user of github.com/elazarl/goproxy would write: CONNECT to one target, and to
// nothing else. ./scripts/bench measures it.
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/elazarl/goproxy"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: goproxy LISTEN TARGET")
	}
	proxy := goproxy.NewProxyHttpServer()
	proxy.Logger = log.New(nowhere{}, "", 0)
	proxy.OnRequest().HandleConnectFunc(func(host string, _ *goproxy.ProxyCtx) (*goproxy.ConnectAction, string) {
		if host == os.Args[2] {
			return goproxy.OkConnect, host
		}
		return goproxy.RejectConnect, host
	})
	log.Fatal(http.ListenAndServe(os.Args[1], proxy))
}

// nowhere drops the log: the other proxies write none either.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
