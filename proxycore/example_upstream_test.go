// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// The policy is applied here, and what it admits goes through the company's proxy:
// never past it, also when that refuses, as it does in this example.
func ExampleParseUpstream() {
	company, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer company.Close()
	go http.Serve(company, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("the upstream is asked for", r.Host)
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))

	filter, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{"github.com"}})
	if err != nil {
		log.Fatal(err)
	}
	upstream, err := proxycore.ParseUpstream("http://" + company.Addr().String())
	if err != nil {
		log.Fatal(err) // never quotes the URL, which may hold a password
	}
	upstream, err = upstream.WithCredentials("build-42", "an old password")
	if err != nil {
		log.Fatal(err)
	}
	records := make(chan proxycore.Record, 1)
	h, err := proxycore.BuiltIn{Config: proxycore.Config{
		Filter:   filter,
		Upstream: upstream,
		Record:   func(r proxycore.Record) error { records <- r; return nil },
	}}.Start(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()

	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: h.Addr()})}}
	for _, host := range []string{"github.com", "example.com"} {
		_, err = client.Get("https://" + host)
		r := <-records
		fmt.Println(r.Host, r.Reason, r.UpstreamStatus)
	}
	// Output:
	// the upstream is asked for github.com:443
	// github.com dial_error 407
	// example.com host_not_allowed 0
}

// Programs that follow HTTPS_PROXY and NO_PROXY go on doing so, with the policy in
// front.
func ExampleUpstreamFromEnvironment() {
	route, err := proxycore.UpstreamFromEnvironment([]string{"HTTPS_PROXY=http://user:password@proxy.example:3128", "NO_PROXY=.intern.example"})
	if err != nil {
		log.Fatal(err)
	}
	cfg := proxycore.Config{Route: route}
	for _, host := range []string{"github.com", "git.intern.example"} {
		up, err := cfg.Route(proxycore.Target{Host: host, Port: 443})
		fmt.Println(host, up, err)
	}
	// Output:
	// github.com http://proxy.example:3128 <nil>
	// git.intern.example no upstream <nil>
}
