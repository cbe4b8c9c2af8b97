// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/url"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// A proxy that admits two hosts, a client that asks for a third, and the account
// of it. A child process would get h.Environ(os.Environ()) as its environment.
func Example() {
	filter, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{"github.com", "**.golang.org"}})
	if err != nil {
		log.Fatal(err)
	}
	records := make(chan proxycore.Record, 1)
	proxy := proxycore.BuiltIn{Config: proxycore.Config{
		Filter: filter,
		Record: func(r proxycore.Record) error { records <- r; return nil },
	}}
	h, err := proxy.Start(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()

	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: h.Addr()})}}
	_, err = client.Get("https://example.com/")
	fmt.Println(err)
	r := <-records
	fmt.Println(r.Decision, r.Host, r.Port, r.Reason)
	// Output:
	// Get "https://example.com/": Forbidden
	// deny example.com 443 host_not_allowed
}

// One process can serve many sandboxes, each through a listener of its own, with
// its own filter and its own name in the records.
func ExampleHandle_Attach() {
	h, err := proxycore.BuiltIn{Port: -1}.Start(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	fmt.Println(h.Port(), h.Addr() == "")
	// A listener handed over from a sandbox would go here:
	//	detach, err := h.Attach(l, proxycore.Listening{Name: "build-42", Filter: filter})

	// Output:
	// 0 true
}

// Every mistake in a policy is reported at once, with the spelling that was meant.
func ExampleNewFilter() {
	f, err := proxycore.NewFilter(proxycore.Policy{Allow: []string{"github.com", "*.github.com:443"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, authority := range []string{"api.github.com:443", "github.com:22"} {
		target, err := proxycore.ParseTarget(authority)
		if err != nil {
			log.Fatal(err)
		}
		d := f.Decide(target)
		fmt.Printf("%v %v %q\n", target, d.Allowed, d.Reason)
	}
	// Output:
	// api.github.com:443 true ""
	// github.com:22 false "port_not_allowed"
}
